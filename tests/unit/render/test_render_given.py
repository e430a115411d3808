"""What rendering is given besides the lab file: secrets, digests, editions, adopted texts. And ports, and networks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ez_homelab.catalog.loader import Catalog
from ez_homelab.config.model import AppInstance, Stack
from ez_homelab.render import Given, make_instances, render
from ez_homelab.render.desired import DesiredFile, PublishedPort
from ez_homelab.render.secrets import needs, readers, rotations
from ez_homelab.secrets.value import Secret
from ez_homelab.testing.make_lab import make_lab

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ez_homelab.config.model import Lab
    from ez_homelab.render.desired import Desired

SAMPLE = """\
schema_version: 1
id: sample
name: Sample
tagline: A sample
category: wiki
version: "1"
upstream: {website: "https://sample.example/", source: "https://sample.example/s", license: MIT}
architectures: [amd64]
sources: [{facts: [version, architectures, web.port], source: sample.example, date: 2026-01-01}]
web: {service: app, port: 80}
health: {interval: 20s}
resources: {memory: {reserve: 64M, limit: 256M}, cpu: {limit: 1}}
secrets:
  - {id: token, env: TOKEN}
  - {id: password, rotate: {how: command, service: database, command: [tell, it]}}
"""
COMPOSE = """\
services:
  app:
    image: sample:1
    user: "1000:1001"
    environment: {URL: "db://${TOKEN}@database/", LITERAL: "$${TOKEN}", PASSWORD_FILE: /run/secrets/password}
    volumes: ["./secrets/password:/run/secrets/password:ro"]
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    healthcheck: {test: ["CMD", "true"]}
  database:
    image: database:1
    user: "999"
    volumes: ["./secrets/password:/run/secrets/password:ro"]
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    healthcheck: {test: ["CMD", "true"]}
"""
TOKEN, PASSWORD = "t0ken-of-the-sample", "passw0rd-of-the-sample"
GATE = {"gate": {"gate_key": Secret("k3y-of-the-gate")}}
VALUES = {"token": Secret(TOKEN), "password": Secret(PASSWORD)}
NAME = "my-sample"


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """The shipped apps, and one of two containers with a secret of each kind."""
    folder = tmp_path / "sample"
    folder.mkdir()
    (folder / "service.yaml").write_text(SAMPLE)
    (folder / "compose.yaml").write_text(COMPOSE)
    (folder / "tests.yaml").write_text("anonymous: [{path: /, expect_status: [200]}]\n")
    return Catalog.shipped().with_folder(tmp_path)


def lab_of(*apps: AppInstance, **more: Any) -> Lab:
    return make_lab(stacks=[Stack("stack", apps=apps)], **more)


SAMPLE_LAB = lab_of(AppInstance(NAME, "sample"))


def with_values(catalog: Catalog, values: Mapping[str, Secret]) -> Desired:
    return render(SAMPLE_LAB, catalog.app, Given(secrets={NAME: values, **GATE}))


def files(desired: Desired) -> dict[str, DesiredFile]:
    return {file.path: file for file in desired.servers["core"].files}


def composed(desired: Desired, stack: str = "stack") -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(files(desired)[f"/opt/stacks/{stack}/compose.yaml"].content)
    return found


def fingerprints(desired: Desired) -> dict[str, str]:
    return {service.name: service.fingerprint for service in desired.servers["core"].services}


def changed(before: Desired, after: Desired) -> set[str]:
    old, new = fingerprints(before), fingerprints(after)
    return {name for name in old if old[name] != new[name]}


# --- secrets ---------------------------------------------------------------------------------------------------


def test_a_variable_is_renamed_after_its_instance_and_stands_in_env_alone(catalog: Catalog) -> None:
    desired = with_values(catalog, VALUES)
    env = files(desired)["/opt/stacks/stack/.env"]
    assert f"MY_SAMPLE_TOKEN='{TOKEN}'\n" in env.content.decode()
    assert (env.mode, env.uid, env.gid) == (0o600, 0, 0)
    environment = composed(desired)["services"][NAME]["environment"]
    assert environment["URL"] == "db://${MY_SAMPLE_TOKEN}@database/"
    assert environment["LITERAL"] == "$${TOKEN}", "what is meant literally is left alone"


def test_two_instances_of_an_app_do_not_share_a_variable(catalog: Catalog) -> None:
    other = {name: Secret(f"{value.reveal()}-2") for name, value in VALUES.items()}
    lab = lab_of(AppInstance(NAME, "sample"), AppInstance("other", "sample"))
    desired = render(lab, catalog.app, Given(secrets={NAME: VALUES, "other": other, **GATE}))
    env = files(desired)["/opt/stacks/stack/.env"].content.decode()
    assert f"MY_SAMPLE_TOKEN='{TOKEN}'\n" in env
    assert f"OTHER_TOKEN='{TOKEN}-2'\n" in env


@pytest.mark.parametrize(("container", "owner"), [(NAME, (1000, 1001)), (f"{NAME}-database", (999, 999))])
def test_a_file_is_its_containers_own_user_s_and_nobody_else_s(
    catalog: Catalog, container: str, owner: tuple[int, int]
) -> None:
    desired = with_values(catalog, VALUES)
    file = files(desired)[f"/opt/stacks/stack/secrets/{container}/password"]
    assert file.content == PASSWORD.encode()
    assert (file.mode, file.uid, file.gid) == (0o600, *owner)
    mount = composed(desired)["services"][container]["volumes"][0]
    assert mount == {
        "type": "bind", "source": f"./secrets/{container}/password", "target": "/run/secrets/password",
        "read_only": True, "bind": {"create_host_path": False},
    }  # fmt: skip


def test_no_value_is_in_any_file_that_others_may_read(catalog: Catalog) -> None:
    desired = with_values(catalog, VALUES)
    for path, file in files(desired).items():
        if file.mode != 0o600:
            assert not [value for value in (TOKEN, PASSWORD) if value.encode() in file.content], path
    assert TOKEN not in repr(desired.servers["core"].services)
    assert PASSWORD not in f"{composed(desired)}"


def test_a_new_value_makes_anew_just_the_containers_that_are_given_it(catalog: Catalog) -> None:
    before = with_values(catalog, VALUES)
    assert changed(before, with_values(catalog, VALUES | {"token": Secret("another-token")})) == {NAME}
    both = {NAME, f"{NAME}-database"}
    assert changed(before, with_values(catalog, VALUES | {"password": Secret("another-password")})) == both
    files_before, files_after = files(before), files(with_values(catalog, VALUES | {"token": Secret("another")}))
    assert (
        files_before["/opt/stacks/stack/compose.yaml"].content != files_after["/opt/stacks/stack/compose.yaml"].content
    )


def test_who_needs_which_secret_and_who_reads_it(catalog: Catalog) -> None:
    (instance,) = (one for one in make_instances(SAMPLE_LAB, catalog.app, Given()) if one.name == NAME)
    assert {(need.instance, need.id, need.length) for need in needs([instance])} == {
        (NAME, "token", 32), (NAME, "password", 32),
    }  # fmt: skip
    assert readers(instance, "token") == (NAME,)
    assert readers(instance, "password") == (NAME, f"{NAME}-database")
    assert readers(instance, "nothing") == ()


def test_only_an_app_that_must_be_told_is(catalog: Catalog) -> None:
    given = Given(secrets={NAME: VALUES, **GATE})
    instances = [one for one in make_instances(SAMPLE_LAB, catalog.app, given) if one.name == NAME]
    (due,) = rotations(instances, {(NAME, "token"), (NAME, "password")})
    assert (due.name, due.container, due.command) == (f"{NAME}/password", f"{NAME}-database", ("tell", "it"))
    assert due.value.reveal() == PASSWORD
    assert not [*rotations(instances, set())]


# --- ports and networks ----------------------------------------------------------------------------------------


def service(desired: Desired, name: str) -> Any:
    return next(one for one in desired.servers["core"].services if one.name == name)


def shipped(*apps: str, lab: Lab | None = None, **given: Any) -> Desired:
    catalog = Catalog.shipped()
    made = lab or lab_of(*(AppInstance(app, app) for app in apps))
    values = {app: {secret.id: Secret(f"{app}-{secret.id}-value") for secret in catalog.app(app).manifest.secrets}
              for app in apps}  # fmt: skip
    return render(made, catalog.app, Given(secrets=values | GATE, **given))


def test_an_app_without_a_page_publishes_its_port_at_the_servers_address() -> None:
    desired = shipped("mosquitto")
    published = service(desired, "mosquitto").published
    assert PublishedPort("127.0.0.1", 1883, "tcp", 1883) in published
    assert [port.compose for port in published] == composed(desired)["services"]["mosquitto"]["ports"]


def test_an_app_with_a_page_publishes_nothing() -> None:
    desired = shipped("dokuwiki")
    assert service(desired, "dokuwiki").published == ()
    assert "ports" not in composed(desired)["services"]["dokuwiki"]


def network_names(desired: Desired) -> set[str]:
    return {network.name for network in desired.servers["core"].networks}


def test_an_app_on_no_other_network_has_one_of_its_own(catalog: Catalog, tmp_path: Path) -> None:
    without = SAMPLE.replace("web: {service: app, port: 80}\n", "").replace(", web.port", "")
    (tmp_path / "sample" / "service.yaml").write_text(without.replace("service: database", "service: app"))
    (tmp_path / "sample" / "compose.yaml").write_text(COMPOSE.partition("  database:")[0])
    (tmp_path / "sample" / "tests.yaml").write_text("after: [install]\n")
    desired = with_values(catalog, VALUES)
    assert service(desired, NAME).networks == (f"private-{NAME}",)
    assert f"private-{NAME}" in network_names(desired)
    for app in ("dokuwiki", "mosquitto"):
        assert f"private-{app}" not in network_names(shipped(app)), "it has a page, or joins a shared network"


def test_containers_of_one_app_meet_on_a_network_of_their_own_by_their_own_names(catalog: Catalog) -> None:
    networks = {name: one["networks"] for name, one in composed(with_values(catalog, VALUES))["services"].items()}
    private = f"private-{NAME}"
    assert networks[NAME] == {f"edge-{NAME}": {}, private: {"aliases": ["app"]}}
    assert networks[f"{NAME}-database"] == {private: {"aliases": ["database"]}}


# --- the mirror ------------------------------------------------------------------------------------------------


def stacks(desired: Desired) -> list[str]:
    return [stack.name for stack in desired.servers["core"].stacks]


def test_a_lab_of_packages_alone_has_a_mirror() -> None:
    assert stacks(shipped("dokuwiki")) == ["core", "stack"]
    packages = lab_of(AppInstance("dokuwiki", "dokuwiki"), images="packages")
    desired = shipped("dokuwiki", lab=packages)
    assert stacks(desired) == ["core", "mirror", "stack"]
    (port,) = service(desired, "mirror").published
    assert (port.address, port.port) == ("127.0.0.1", 20444), "only programs on the server may reach it"
    assert [volume.name for volume in desired.servers["core"].volumes if "mirror" in volume.name] == ["mirror-data"]


def test_the_mirrors_own_image_is_named_by_its_tag_and_all_others_as_they_are_pinned() -> None:
    tags = {app: {app: f"ez-homelab/{app}:1-abc"} for app in ("dokuwiki", "mirror", "traefik")}
    packages = lab_of(AppInstance("dokuwiki", "dokuwiki"), images="packages")
    desired = shipped("dokuwiki", lab=packages, editions=tags, pin=lambda name: f"pinned/{name}@sha256:0")
    assert composed(desired, "mirror")["services"]["mirror"]["image"] == "ez-homelab/mirror:1-abc"
    assert composed(desired)["services"]["dokuwiki"]["image"] == "pinned/ez-homelab/dokuwiki:1-abc@sha256:0"
    images = {image.reference: image.pinned for image in desired.servers["core"].images}
    assert images["ez-homelab/mirror:1-abc"] == "ez-homelab/mirror:1-abc"
    assert images["ez-homelab/dokuwiki:1-abc"] == "pinned/ez-homelab/dokuwiki:1-abc@sha256:0"


def test_another_digest_makes_the_container_anew() -> None:
    one, two = (shipped("dokuwiki", pin=lambda name, end=end: f"{name}@sha256:{end}") for end in "12")
    assert changed(one, two) == {"docker-socket-proxy", "gate", "traefik", "dokuwiki"}


# --- adopted texts ---------------------------------------------------------------------------------------------

PROMETHEUS = "config/prometheus/prometheus.yml"


def adopted(texts: Mapping[tuple[str, str], bytes]) -> Desired:
    return shipped("prometheus", adopted=texts)


def test_an_adopted_text_stands_in_place_of_the_lab_s_and_keeps_owner_and_rights() -> None:
    before = shipped("prometheus")
    after = adopted({("stack", PROMETHEUS): b"global: {}\n"})
    path = f"/opt/stacks/stack/{PROMETHEUS}"
    assert files(after)[path] == replace(files(before)[path], content=b"global: {}\n")
    assert {name for name in files(before) if files(before)[name] != files(after)[name]} <= {
        path, "/opt/stacks/stack/compose.yaml",
    }  # fmt: skip
    assert changed(before, after) == {"prometheus"}, "it reads the file at its start"


@pytest.mark.parametrize("place", [("other", PROMETHEUS), ("stack", "config/prometheus/other.yml")])
def test_an_adopted_text_of_another_place_changes_nothing(place: tuple[str, str]) -> None:
    assert adopted({place: b"global: {}\n"}) == shipped("prometheus")


def test_only_the_files_of_config_folders_follow_an_adopted_text() -> None:
    paths: Iterable[str] = ("compose.yaml", ".env")
    for path in paths:
        assert adopted({("stack", path): b"x"}) == shipped("prometheus")
