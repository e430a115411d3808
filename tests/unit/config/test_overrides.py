"""Overrides that are taken: normalised, and sharing nothing. What is refused is in faults/overrides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab_strategies import ANYTHING, HOSTILE

from ez_homelab.config.overrides import ALLOWED, REFUSED, load_overrides
from ez_homelab.errors import LabFileError

if TYPE_CHECKING:
    from pathlib import Path


def override(folder: Path, text: str, name: str = "wiki") -> None:
    (folder / "overrides").mkdir(exist_ok=True)
    (folder / "overrides" / f"{name}.yaml").write_text(text)


def test_without_the_folder_there_are_none(tmp_path: Path) -> None:
    assert load_overrides(tmp_path, ["wiki"]) == {}


def test_environment_and_labels_come_out_as_mappings_of_text(tmp_path: Path) -> None:
    override(
        tmp_path,
        """\
services:
  dokuwiki:
    environment: [LEVEL=debug, EMPTY=, PAIR=a=b]
    labels: {homepage.weight: 10, watch: true}
  worker:
    environment: {VERSION: 1.10, SECRET_FILE: /run/secrets/x}
""",
    )
    services = load_overrides(tmp_path, ["wiki"])["wiki"]["services"]
    assert services["dokuwiki"] == {
        "environment": {"LEVEL": "debug", "EMPTY": "", "PAIR": "a=b"},
        "labels": {"homepage.weight": "10", "watch": "true"},
    }
    assert services["worker"]["environment"] == {"VERSION": "1.10", "SECRET_FILE": "/run/secrets/x"}


def test_mounts_devices_and_resources_that_are_fine_are_kept_as_written(tmp_path: Path) -> None:
    text = """\
services:
  dokuwiki:
    volumes:
      - /mnt/media/photos:/photos:ro
      - cache:/cache
      - /etc/localtime:/etc/localtime:ro
      - {type: bind, source: /srv/books, target: /books, read_only: true}
      - {type: tmpfs, target: /tmp}
    devices: [/dev/dri:/dev/dri]
    deploy: {resources: {limits: {memory: 1G}}}
    user: "1001:1001"
    healthcheck: {test: [CMD, curl, localhost], interval: 30s}
"""
    override(tmp_path, text)
    assert load_overrides(tmp_path, ["wiki"])["wiki"] == yaml.safe_load(text)


def test_parts_named_by_an_alias_are_copies(tmp_path: Path) -> None:
    override(tmp_path, "services:\n  a: &same {ulimits: {nofile: 1024}}\n  b: *same\n")
    services = load_overrides(tmp_path, ["wiki"])["wiki"]["services"]
    assert services["a"] == services["b"]
    assert services["a"]["ulimits"] is not services["b"]["ulimits"]


def test_a_link_out_of_the_lab_folder_is_not_followed(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    (lab / "overrides").mkdir(parents=True)
    (tmp_path / "outside.yaml").write_text("services: {a: {init: true}}\n")
    (lab / "overrides" / "wiki.yaml").symlink_to(tmp_path / "outside.yaml")
    with pytest.raises(LabFileError) as caught:
        load_overrides(lab, ["wiki"])
    assert caught.value.evidence == "overrides/wiki.yaml: `overrides/wiki.yaml` leads out of the lab folder"


def test_a_service_that_the_app_does_not_have_is_a_fault(tmp_path: Path) -> None:
    override(tmp_path, "services: {dokuwikki: {init: true}, database: {init: true}}\n")
    with pytest.raises(LabFileError) as caught:
        load_overrides(tmp_path, ["wiki"], {"wiki": ["dokuwiki"]})
    assert caught.value.evidence.splitlines() == [
        "overrides/wiki.yaml:1:12: the app has no service `dokuwikki` (did you mean `dokuwiki`?)",
        "overrides/wiki.yaml:1:37: the app has no service `database` (it has `dokuwiki`)",
    ]


@pytest.mark.parametrize("key", sorted(REFUSED))
def test_every_refused_key_says_why(tmp_path: Path, key: str) -> None:
    override(tmp_path, f"services: {{a: {{{key}: x}}}}\n")
    with pytest.raises(LabFileError) as caught:
        load_overrides(tmp_path, ["wiki"])
    [fault] = caught.value.faults
    assert fault.message == f"`{key}` is refused in an override: {REFUSED[key]}"


def test_no_key_is_both_allowed_and_refused() -> None:
    assert not ALLOWED & set(REFUSED)


@pytest.mark.parametrize(
    "source",
    [
        *("/", "//", "/.", "/var", "/var/run", "/run/", "/run/docker.sock", "/var/run/../run/docker.sock", "/var//run"),
        *("/opt", "/opt/stacks/core", "/var/lib/docker/volumes", "/proc", "/etc/ssh", "/root/.ssh", "~/x", "../x", "."),
        *("/run/user/1000/docker.sock", "/mnt/x/podman.socket", "\\\\.\\pipe\\docker"),
    ],
)
@pytest.mark.parametrize("form", ['"{0}:/x"', '{{type: bind, source: "{0}", target: /x}}'])
def test_no_mount_reaches_the_system(tmp_path: Path, source: str, form: str) -> None:
    override(tmp_path, "services: {a: {volumes: [" + form.format(source.replace("\\", "\\\\")) + "]}}\n")
    with pytest.raises(LabFileError):
        load_overrides(tmp_path, ["wiki"])


SERVICE = st.dictionaries(st.sampled_from(sorted(ALLOWED | set(REFUSED))) | HOSTILE, ANYTHING, max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(HOSTILE | st.just("a"), SERVICE | ANYTHING, max_size=2))
def test_whatever_is_in_it_what_comes_out_keeps_the_promises(tmp_path: Path, services: dict[str, object]) -> None:
    override(tmp_path, yaml.safe_dump({"services": services}, allow_unicode=True))
    try:
        fragment = load_overrides(tmp_path, ["wiki"])["wiki"]
    except LabFileError as error:
        assert error.faults
        return
    assert "$" not in str(fragment)
    assert all(set(service) <= ALLOWED for service in fragment["services"].values())
