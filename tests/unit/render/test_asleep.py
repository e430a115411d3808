"""Which apps may sleep, how groups share their settings, and what a container that sleeps is made with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from catalog_folder import Folder

from ez_homelab.config.model import AppInstance, LazySettings
from ez_homelab.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.render.desired import Desired, DesiredService

SUITABLE = "lazy: {suitable: true}"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "catalog")


def asleep(name: str, app: str = "", **said: Any) -> AppInstance:
    return AppInstance(name, app or name, lazy=LazySettings(mode="stop", **said))


def awake(name: str, app: str = "", **said: Any) -> AppInstance:
    return AppInstance(name, app or name, lazy=LazySettings(**said))


def service(desired: Desired, name: str) -> DesiredService:
    return next(one for one in desired.servers["core"].services if one.name == name)


def composed(desired: Desired, name: str, stack: str = "stack") -> dict[str, Any]:
    files = {file.path: file.content for file in desired.servers["core"].files}
    found: dict[str, Any] = yaml.safe_load(files[f"/opt/stacks/{stack}/compose.yaml"])["services"][name]
    return found


# --- refusals --------------------------------------------------------------------------------------------------


def refusal(folder: Folder, *apps: AppInstance, **more: Any) -> UsageError:
    with pytest.raises(UsageError) as refused:
        folder.desired(*apps, **more)
    assert refused.value.cause
    assert refused.value.fix
    return refused.value


@pytest.mark.parametrize("ending", ["page", "monitor", "waker"])
def test_no_app_that_sleeps_is_called_as_a_router_of_another_one(folder: Folder, ending: str) -> None:
    folder.app("sample", more=SUITABLE)
    told = refusal(folder, asleep("sample"), asleep(f"sample-{ending}", "sample"))
    assert told.what == f"sample and sample-{ending} cannot both sleep under these names"
    folder.desired(asleep("sample"), awake(f"sample-{ending}", "sample"))


REFUSED = {
    "lazy: {suitable: false, reason: It counts the hours.}": "sample may not sleep: It counts the hours.",
    f"{SUITABLE}\nnetwork: {{publish: [{{port: 2222, reason: SSH}}]}}": (
        "sample may not sleep: port 2222 of the server leads to it past Traefik, so nobody would wake it there"
    ),
}


@pytest.mark.parametrize("more", REFUSED)
def test_an_app_that_may_not_sleep_is_refused_with_the_reason_and_what_to_do(folder: Folder, more: str) -> None:
    folder.app("sample", more=more)
    error = refusal(folder, asleep("sample"))
    assert str(error) == REFUSED[more]
    assert error.fix == "say `lazy: off` for sample in homelab.yaml"
    assert folder.desired(awake("sample")).routes[-1].lazy is None


@pytest.mark.parametrize("scheme", ["https", "h2c"])
def test_an_app_that_does_not_speak_plain_http_may_not(
    folder: Folder, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ez_homelab.catalog.loader.broken_rules", lambda _app: [])
    folder.app("sample", more=SUITABLE, web=f", scheme: {scheme}")
    assert f"it answers by {scheme}" in str(refusal(folder, asleep("sample")))


def test_an_app_that_nobody_opens_sleeps_with_one_that_people_do(folder: Folder) -> None:
    folder.app("store", more=SUITABLE, web=", exposure: none")
    folder.app("page", more=SUITABLE)
    error = refusal(folder, asleep("store"), asleep("page"))
    assert str(error).startswith("store may not sleep: nobody asks for it by a name of its own")
    assert "`lazy.group`" in error.fix
    desired = folder.desired(asleep("store", group="page"), asleep("page"))
    assert [group.apps for group in desired.servers["core"].wake_groups] == [("store", "page")]


def test_what_an_app_needs_that_may_be_awake_alone_may_not_sleep(folder: Folder) -> None:
    folder.app("store", more=SUITABLE)
    folder.app("page", more=f"{SUITABLE}\nrequires: {{services: [store]}}")
    assert "page needs it and does not sleep" in str(refusal(folder, asleep("store"), awake("page")))
    assert "page needs it and sleeps apart from it" in str(refusal(folder, asleep("store"), asleep("page")))
    together = folder.desired(asleep("page", group="both"), asleep("store", group="both"))
    [group] = together.servers["core"].wake_groups
    assert group.containers == ("store", "page"), "what is needed starts first"
    assert folder.desired(awake("store"), asleep("page"))


def test_a_container_that_ends_by_itself_keeps_its_app_from_sleeping(folder: Folder) -> None:
    folder.app("sample", more=SUITABLE, others=("prepare",),
               extra="    depends_on: {prepare: {condition: service_completed_successfully}}\n")  # fmt: skip
    assert "its container sample-prepare ends by itself" in str(refusal(folder, asleep("sample")))


@pytest.mark.parametrize("policy", ["always", "unless-stopped", "on-failure:3"])
def test_an_override_may_not_let_docker_start_what_sleeps(folder: Folder, policy: str) -> None:
    folder.app("sample", more=SUITABLE)
    overrides = {"sample": {"services": {"app": {"restart": policy}}}}
    error = refusal(folder, asleep("sample"), overrides=overrides)
    assert f"restart: {policy}" in str(error)
    assert "overrides/sample.yaml" in error.fix
    assert folder.desired(awake("sample"), overrides=overrides)
    assert folder.desired(asleep("sample"), overrides={"sample": {"services": {"app": {"restart": "no"}}}})


def test_what_nobody_knows_to_suit_sleeping_sleeps_with_a_warning(folder: Folder) -> None:
    folder.app("sample")
    desired = folder.desired(asleep("sample"))
    [warning] = desired.warnings
    assert warning.startswith("sample is to sleep, and nobody has found out whether that suits it")
    assert desired.servers["core"].wake_groups


@pytest.mark.parametrize("said", [{"idle": "5m"}, {"group": "x"}, {"awake": ()}, {"clients": "503"}, {"timeout": "1m"}])
def test_settings_of_an_app_that_never_sleeps_are_told(folder: Folder, said: dict[str, Any]) -> None:
    folder.app("sample", more=SUITABLE)
    [warning] = folder.desired(awake("sample", **said)).warnings
    assert warning == "sample never sleeps, so its `lazy` settings mean nothing: `mode: stop` lets it sleep"


# --- what the lab file and the catalog say ---------------------------------------------------------------------


def test_an_app_sleeps_where_its_catalog_folder_says_so_unless_the_lab_says_no(folder: Folder) -> None:
    folder.app("sample", more="lazy: {suitable: true, mode: stop, idle_after: 5m, ready_timeout: 20s, group: samples}")
    [route] = [one for one in folder.desired(awake("sample")).routes if one.name == "sample"]
    assert route.lazy is not None
    assert (route.lazy.group, route.lazy.idle, route.lazy.timeout) == ("samples", 300, 20)
    assert not folder.desired(awake("sample", mode="off")).servers["core"].wake_groups


def test_a_group_has_the_longest_idle_time_the_time_of_each_start_and_all_hours(folder: Folder) -> None:
    folder.app("sample", more="lazy: {suitable: true, idle_after: 10m, ready_timeout: 30s}")
    apps = (
        asleep("one", "sample", group="all", idle="1h", awake=("Mon 08:00-09:00", "Tue 08:00-09:00")),
        asleep("two", "sample", group="all", timeout="2m", awake=("Tue 08:00-09:00", "Wed 08:00-09:00")),
        asleep("three", "sample", group="all", clients="503"),
        asleep("alone", "sample"),
    )
    lazy = {route.name: route.lazy for route in folder.desired(*apps).routes}
    assert lazy["one"] is not None
    assert lazy["one"] == lazy["two"] == lazy["three"] != lazy["alone"]
    assert (lazy["one"].idle, lazy["one"].timeout, lazy["one"].clients) == (3600, 30 + 120 + 30, "503")
    assert lazy["one"].awake == ("Mon 08:00-09:00", "Tue 08:00-09:00", "Wed 08:00-09:00")


def test_a_group_whose_apps_say_different_things_of_programs_is_refused(folder: Folder) -> None:
    folder.app("sample", more=SUITABLE)
    error = refusal(folder, asleep("one", "sample", group="all", clients="503"),
                    asleep("two", "sample", group="all", clients="hold"))  # fmt: skip
    assert str(error) == "one and two sleep as one group, and say different `lazy.clients`"


# --- containers ------------------------------------------------------------------------------------------------


def test_a_container_that_sleeps_is_started_by_nobody_but_what_wakes_it(folder: Folder) -> None:
    folder.app("sample", more=SUITABLE, others=("store",), extra="    depends_on: [store]\n")
    desired = folder.desired(asleep("sample"), awake("other", "sample"))
    for name in ("sample", "sample-store"):
        assert composed(desired, name)["restart"] == "no"
        assert service(desired, name).wake_group == "sample"
        assert "/opt/stacks/core/config/waker/config/lazy.json" in service(desired, name).guarded_by
        assert [*composed(desired, name)["labels"]] == ["ez-homelab.fingerprint"], "its route is a file"
    for name in ("other", "other-store"):
        assert composed(desired, name)["restart"] == "unless-stopped"
        assert service(desired, name).wake_group == ""
        assert "/opt/stacks/core/config/waker/config/lazy.json" not in service(desired, name).guarded_by
    assert "traefik.enable" in composed(desired, "other")["labels"]


def test_an_override_says_too_who_waits_for_whom(folder: Folder) -> None:
    folder.app("sample", more=SUITABLE, others=("store",))
    [group] = folder.desired(asleep("sample")).servers["core"].wake_groups
    assert group.containers == ("sample", "sample-store")
    overrides = {"sample": {"services": {"app": {"depends_on": {"store": {"condition": "service_healthy"}}}}}}
    [group] = folder.desired(asleep("sample"), overrides=overrides).servers["core"].wake_groups
    assert group.containers == ("sample-store", "sample")


def test_the_first_app_that_sleeps_makes_no_other_container_anew(folder: Folder) -> None:
    folder.app("sample", more=SUITABLE)
    before = {one.name: one.fingerprint for one in folder.desired(awake("sample"), awake("other", "sample"))
              .servers["core"].services}  # fmt: skip
    after = {one.name: one.fingerprint for one in folder.desired(asleep("sample"), awake("other", "sample"))
             .servers["core"].services}  # fmt: skip
    assert after.keys() - before.keys() == {"waker", "waker-control"}
    assert {name for name in before if before[name] != after[name]} == {"sample"}


def test_another_app_that_sleeps_makes_the_waker_not_anew(folder: Folder) -> None:
    folder.app("sample", more=SUITABLE)
    one, two = folder.desired(asleep("a", "sample")), folder.desired(asleep("a", "sample"), asleep("b", "sample"))
    for name in ("waker", "waker-control", "traefik"):
        assert service(one, name).fingerprint == service(two, name).fingerprint


def test_the_waker_lives_in_traefiks_network_and_what_asks_docker_for_it_in_none(folder: Folder) -> None:
    folder.app("sample", more=SUITABLE)
    desired = folder.desired(asleep("sample"))
    waker, control = composed(desired, "waker", "core"), composed(desired, "waker-control", "core")
    assert (waker["network_mode"], control["network_mode"]) == ("service:traefik", "none")
    for one in (waker, control):
        assert not {"networks", "hostname", "ports"} & one.keys(), "Docker refuses these for a shared network"
    assert waker["depends_on"]["traefik"] == {"condition": "service_started", "restart": True}
    assert (service(desired, "waker").network_of, service(desired, "waker-control").network_of) == ("traefik", "")
    assert service(desired, "waker").networks == service(desired, "waker-control").networks == ()
    assert not [network for network in desired.servers["core"].networks if "waker" in network.name]


def test_the_waker_writes_where_traefik_reads(folder: Folder) -> None:
    folder.app("sample", more=SUITABLE)
    desired = folder.desired(asleep("sample"))
    waker, traefik = composed(desired, "waker", "core"), composed(desired, "traefik", "core")
    [written] = [mount for mount in waker["volumes"] if mount["target"] == waker["environment"]["WAKER_ROUTES"]]
    [read] = [mount for mount in traefik["volumes"] if mount["source"] == written["source"]]
    assert (read["target"], read["read_only"]) == ("/etc/traefik/dynamic/lazy", True)
    assert "read_only" not in written
    assert written["source"] in service(desired, "waker").volumes
    [nudge] = [mount for mount in waker["volumes"] if mount["target"] == waker["environment"]["WAKER_NUDGE"]]
    files = {file.path: file for file in desired.servers["core"].files}
    file = files["/opt/stacks/core/" + nudge["source"].removeprefix("./")]
    assert file.path.startswith("/opt/stacks/core/config/traefik/dynamic/")
    assert f"{file.uid}:{file.gid}" == waker["user"] == traefik["user"], "who touches it has to own it"
    assert any(path.startswith("/opt/stacks/core/config/traefik/dynamic/lazy/") for path in files)
