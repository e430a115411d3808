"""What rendering promises beyond the files in tests/golden: fingerprints, refusals, names, overrides."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from catalog_folder import Folder

from ez_homelab.config.model import AppInstance, Limits, Paths, Stack
from ez_homelab.errors import CatalogError, UsageError
from ez_homelab.render.merge import merged_service
from ez_homelab.testing.make_lab import desired_of, make_lab

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.config.model import Lab
    from ez_homelab.render.desired import Desired, DesiredService


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "catalog")


def service(desired: Desired, name: str) -> DesiredService:
    return next(one for one in desired.servers["core"].services if one.name == name)


def composed(desired: Desired, stack: str, name: str) -> dict[str, Any]:
    files = {file.path: file.content for file in desired.servers["core"].files}
    found: dict[str, Any] = yaml.safe_load(files[f"/opt/stacks/{stack}/compose.yaml"])["services"][name]
    return found


def starter(**changes: Any) -> Desired:
    return desired_of(replace(make_lab(), **changes))


# --- fingerprints ----------------------------------------------------------------------------------------------


def fingerprints(desired: Desired) -> dict[str, str]:
    return {one.name: one.fingerprint for one in desired.servers["core"].services}


def changed(before: Desired, after: Desired) -> set[str]:
    old, new = fingerprints(before), fingerprints(after)
    return {name for name in old if old[name] != new[name]}


def test_only_who_uses_a_variable_is_made_anew_when_it_changes() -> None:
    assert changed(starter(), starter(timezone="Europe/Berlin")) == {"dokuwiki", "glances"}
    assert changed(starter(), starter(paths=Paths("/a", "/b"))) == set()


def test_only_who_answers_under_the_domain_is_made_anew_when_it_changes() -> None:
    assert changed(starter(), starter(domain="lab.home.arpa")) == {"dokuwiki", "gate", "glances", "prometheus"}


def test_a_new_app_makes_no_other_container_anew() -> None:
    lab = make_lab()
    more = replace(lab, stacks=(*lab.stacks, Stack("more", apps=(AppInstance("notes", "dokuwiki"),))))
    assert changed(desired_of(lab), desired_of(more)) == set()
    assert "edge-notes" in service(desired_of(more), "traefik").live_networks


@pytest.mark.parametrize(("on_change", "anew"), [("recreate", True), ("reload", True), ("watch", False)])
def test_content_that_is_read_at_the_start_counts_and_watched_content_does_not(
    tmp_path: Path, on_change: str, anew: bool
) -> None:
    desired = []
    for content in (b"one", b"two"):
        folder = Folder(tmp_path / content.decode())
        folder.app("sample", more=f"files: [{{source: conf/, on_change: {on_change}}}]",
                   extra="    volumes: ['./files/conf:/etc/conf:ro']\n", files={"conf/a": content})  # fmt: skip
        desired.append(folder.desired(AppInstance("sample", "sample")))
    assert (changed(*desired) == {"sample"}) is anew


@pytest.mark.parametrize("written", ["$TZ", "${TZ}", "${TZ:-UTC}"])
def test_every_way_to_write_a_variable_counts(folder: Folder, written: str) -> None:
    folder.app("sample", extra=f"    environment: {{ZONE: '{written}'}}\n")
    here, there = (folder.desired(AppInstance("sample", "sample"), timezone=zone) for zone in ("Etc/UTC", "Asia/Tokyo"))
    assert changed(here, there) == {"sample"}


# --- what is refused -------------------------------------------------------------------------------------------


def refusal(folder: Folder, *apps: AppInstance) -> str:
    with pytest.raises(UsageError) as refused:
        folder.desired(*apps)
    assert refused.value.fix
    return str(refused.value)


REFUSED = {
    "status: disabled\nnotes: it is broken": "is disabled in the catalog (it is broken)",
    "inputs: [{id: place, type: text, label: Where}]": "asks questions at install",
    "network: {egress: vpn}": "needs a VPN",
    "network: {egress: none, join: [homelab-network]}": "wants no way out and joins networks that have one",
    "files: [{source: made.yml, rendered: true}]": "nothing writes its file made.yml",
}


@pytest.mark.parametrize("more", REFUSED)
def test_what_this_version_cannot_give_is_refused_with_the_reason(
    folder: Folder, more: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The catalog's own rules are tested elsewhere, and some of them refuse these apps for being incomplete.
    monkeypatch.setattr("ez_homelab.catalog.loader.broken_rules", lambda _app: [])
    try:
        folder.app("sample", more=more)
    except CatalogError as error:
        pytest.fail(str(error.evidence))
    text = refusal(folder, AppInstance("sample", "sample"))
    assert "sample cannot run yet" in text
    assert REFUSED[more] in text


def test_two_apps_cannot_have_one_name(folder: Folder) -> None:
    folder.app("sample", web=", subdomain: same")
    text = refusal(folder, AppInstance("sample", "sample"), AppInstance("other", "sample", subdomain="same"))
    assert text == "other and sample both want the name same.lab.localhost"
    routes = folder.desired(AppInstance("sample", "sample"), AppInstance("other", "sample")).routes
    assert [route.host for route in routes] == ["auth.lab.localhost", "same.lab.localhost", "other.lab.localhost"]


def test_two_apps_cannot_have_one_container_or_volume(folder: Folder) -> None:
    volume = {"more": "volumes: [{name: NAME, path: /data, class: config}]", "extra": "    volumes: ['NAME:/data']\n"}
    folder.app("two-parts", others=("store",))
    folder.app("long", volumes=("a-b",), **{key: text.replace("NAME", "a-b") for key, text in volume.items()})  # type: ignore[arg-type]
    folder.app("short", volumes=("b",), **{key: text.replace("NAME", "b") for key, text in volume.items()})  # type: ignore[arg-type]
    text = refusal(folder, AppInstance("blog", "two-parts"), AppInstance("blog-store", "short"))
    assert text == "blog and blog-store would share the container blog-store"
    text = refusal(folder, AppInstance("x", "long"), AppInstance("x-a", "short"))
    assert text == "x and x-a would share the volume x-a-b"
    assert folder.desired(AppInstance("x", "long"), AppInstance("y-a", "short"))


# --- templates -------------------------------------------------------------------------------------------------

TEMPLATES = {
    b"{{ nothing }}": "'nothing' is undefined",
    b"{% for %}": "Expected",
    b"{{ 1 / 0 }}": "division by zero",
    b"{{ domain + 1 }}": "concatenate",
    b"{{ ''.__class__ }}": "unsafe",
    b"\xff\xfe": "decode",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_that_cannot_be_filled_in_is_told_with_its_file(folder: Folder, template: bytes) -> None:
    folder.app("sample", more="files: [{source: a.conf.j2}]", extra="    volumes: ['./files/a.conf:/a.conf:ro']\n",
               files={"a.conf.j2": template})  # fmt: skip
    with pytest.raises(CatalogError) as refused:
        folder.desired(AppInstance("sample", "sample"))
    (fault,) = refused.value.faults
    assert fault.file.endswith("sample/files/a.conf.j2")
    assert TEMPLATES[template] in fault.message
    assert "domain" in refused.value.fix


# --- overrides -------------------------------------------------------------------------------------------------


def overridden(folder: Folder, **fields: Any) -> Desired:
    folder.app("sample", service="app", others=("store",), volumes=("data",), extra="    volumes: ['data:/data']\n",
               more="volumes: [{name: data, path: /data, class: config}]")  # fmt: skip
    return folder.desired(AppInstance("blog", "sample"), overrides={"blog": {"services": {"app": fields}}})


def test_an_override_of_a_mount_replaces_the_one_at_its_target(folder: Folder) -> None:
    desired = overridden(folder, volumes=["/srv/data:/data:ro,rslave,Z", "/cache"])
    assert composed(desired, "stack", "blog")["volumes"] == [
        {
            "type": "bind", "source": "/srv/data", "target": "/data", "read_only": True,
            "bind": {"propagation": "rslave", "selinux": "Z", "create_host_path": False},
        },
        {"type": "volume", "target": "/cache"},
    ]  # fmt: skip


def test_a_volume_that_only_an_override_names_is_made_and_waited_for(folder: Folder) -> None:
    desired = overridden(folder, volumes=["extra:/extra", {"type": "tmpfs", "target": "/t"}])
    names = [volume.name for volume in desired.servers["core"].volumes]
    assert names == ["gate-data", "traefik-routes", "blog-data", "blog-extra"]
    assert service(desired, "blog").volumes == ("blog-data", "blog-extra")
    assert service(desired, "blog-store").volumes == ()


@pytest.mark.parametrize("written", [["store"], {"store": {"condition": "service_started"}}])
def test_an_override_names_services_as_the_app_does(folder: Folder, written: Any) -> None:
    desired = overridden(folder, depends_on=written)
    assert composed(desired, "stack", "blog")["depends_on"] == {"blog-store": {"condition": "service_started"}}


MERGES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
    ({"environment": {"A": "1", "B": "2"}}, {"environment": {"B": "3"}}, {"environment": {"A": "1", "B": "3"}}),
    ({"command": ["a", "b"]}, {"command": ["c"]}, {"command": ["c"]}),
    ({"command": ["a", "b"]}, {"command": "c"}, {"command": "c"}),
    ({"entrypoint": ["a"]}, {"entrypoint": ["b"]}, {"entrypoint": ["b"]}),
    ({"healthcheck": {"test": ["CMD", "a"], "interval": "1s"}}, {"healthcheck": {"test": ["CMD", "b"]}},
     {"healthcheck": {"test": ["CMD", "b"], "interval": "1s"}}),
    ({"cap_drop": ["ALL"]}, {"cap_drop": ["ALL", "X"]}, {"cap_drop": ["ALL", "X"]}),
    ({"tmpfs": ["/a"]}, {"tmpfs": "/b"}, {"tmpfs": ["/a", "/b"]}),
    ({"cpu_period": 1, "cpu_quota": 2}, {"cpus": 0.5}, {"cpus": 0.5}),
    ({"cpu_period": 1, "cpu_quota": 2, "cpu_shares": 3}, {"deploy": {"resources": {"limits": {"cpus": "1"}}}},
     {"cpu_shares": 3, "deploy": {"resources": {"limits": {"cpus": "1"}}}}),
    ({"mem_limit": "1g", "mem_reservation": "512m"}, {"mem_limit": "64m"}, {"mem_limit": "64m"}),
    ({"mem_limit": "1g", "mem_reservation": "512m"}, {"mem_limit": "64m", "mem_reservation": "32m"},
     {"mem_limit": "64m", "mem_reservation": "32m"}),
    ({"mem_limit": "1g", "pids_limit": 9}, {"deploy": {"resources": {"limits": {"memory": "64M", "pids": 5}}}},
     {"deploy": {"resources": {"limits": {"memory": "64M", "pids": 5}}}}),
    ({"read_only": True}, {"read_only": False}, {"read_only": False}),
]  # fmt: skip


@pytest.mark.parametrize(("base", "over", "expected"), MERGES)
def test_how_a_fragment_is_laid_over_a_service(
    base: dict[str, Any], over: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert merged_service(base, over) == expected


# --- limits ----------------------------------------------------------------------------------------------------


def test_no_more_is_reserved_than_may_be_used() -> None:
    limited = make_lab(
        stacks=[Stack("s", apps=(AppInstance("prometheus", "prometheus", limits=Limits("64M", "0.25")),))]
    )
    found = composed(desired_of(limited), "s", "prometheus")
    assert (found["mem_limit"], found["mem_reservation"], found["cpu_quota"]) == ("64m", "64m", 25_000)


# --- many servers ----------------------------------------------------------------------------------------------


def test_many_servers_have_what_is_theirs_and_nothing_else() -> None:
    lab: Lab = make_lab(servers=3, apps=20)
    desired = desired_of(lab)
    assert len(desired.routes) == 21
    assert [name for name, server in desired.servers.items() if any(one.name == "gate" for one in server.services)] == [
        "core"
    ], "one server asks who somebody is"
    for name, server in desired.servers.items():
        own = {app.name for stack in lab.stacks_on(name) for app in stack.apps} | (
            {"gate"} if name == "core" else set()
        )
        assert {one.name for one in server.services} == {*own, "traefik", "docker-socket-proxy"}
        traefik = next(one for one in server.services if one.name == "traefik")
        assert set(traefik.live_networks) == {f"edge-{app}" for app in own}
        assert server.certificate.names[-1] == "*.server2.lab.localhost"
        assert all(re.match("/opt/stacks/(core|stack[0-9]+)/", file.path) for file in server.files)


def test_prometheus_asks_only_what_it_shares_a_network_with() -> None:
    targets = next(file for file in desired_of(make_lab()).servers["core"].files if "/targets/" in file.path)
    assert [entry["targets"] for entry in yaml.safe_load(targets.content)] == [
        ["node-exporter:9100"],
        ["prometheus:9090"],
    ]


def test_rendering_twice_gives_the_same() -> None:
    lab = make_lab()
    assert desired_of(lab) == desired_of(lab)
