"""policy.json and people.json: checked whole, and a broken one changes nothing."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from gate_world import HOME, PEOPLE, POLICY, Gate, write_whole

from ez_homelab.runtime.gate.options import Options
from ez_homelab.runtime.gate.policy import SettingsError, read_people, read_policy
from ez_homelab.runtime.gate.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

FAULTS = yaml.safe_load(Path(__file__).with_name("settings_faults.yaml").read_text("utf-8"))
GOOD: dict[str, dict[str, Any]] = {"policy": POLICY, "people": {"version": 1, "users": PEOPLE}}
READERS: dict[str, Callable[[str], object]] = {"policy": read_policy, "people": read_people}


def broken(kind: str, fault: dict[str, Any]) -> str:
    document = copy.deepcopy(GOOD[kind])
    *above, last = fault["at"].split(".", 1)
    inside = document[above[0]] if above else document
    inside.pop(last, None)
    if "value" in fault:
        inside[last] = fault["value"]
    return json.dumps(document)


@pytest.mark.parametrize(("kind", "fault"), [(kind, fault) for kind in FAULTS for fault in FAULTS[kind]])
def test_a_fault_is_named_with_its_place(kind: str, fault: dict[str, Any]) -> None:
    READERS[kind](json.dumps(GOOD[kind]))

    with pytest.raises(SettingsError) as refused:
        READERS[kind](broken(kind, fault))

    assert fault["says"] in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": 1, "users": {', "\x00", "[" * 200_000])
async def test_a_broken_file_leaves_what_was_there_before(gate: Gate, text: str) -> None:
    token, _ = await gate.sign_in()
    write_whole(gate.folder / "people.json", text)
    write_whole(gate.folder / "policy.json", text)

    gate.accounts.look()

    assert gate.settings.policy.portal == "auth.lab.localhost"
    assert gate.accounts.session_of(token) is not None


async def test_a_broken_policy_keeps_nobody_in_who_is_gone(gate: Gate) -> None:
    token, _ = await gate.sign_in()
    nowhere = {"host": "x.lab.localhost", "policy": "deny", "groups": [], "bypass": None}
    write_whole(gate.folder / "policy.json", json.dumps(POLICY | {"routes": [nowhere]}))

    gate.write_people(anna=None)

    assert gate.accounts.person("anna") is None
    assert gate.accounts.session_of(token) is None


async def test_a_file_that_is_gone_for_a_moment_changes_nothing(gate: Gate) -> None:
    (gate.folder / "people.json").rename(gate.folder / "away")
    gate.accounts.look()
    assert gate.accounts.person("anna") is not None

    (gate.folder / "away").rename(gate.folder / "people.json")
    assert gate.settings.reload()
    assert not gate.settings.reload()


async def test_a_file_with_the_time_of_the_one_before_is_seen(gate: Gate) -> None:
    path = gate.folder / "policy.json"
    before = path.stat()
    write_whole(path, path.read_text().replace("EZ-Homelab", "EZ-Homelob"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert gate.settings.reload()
    assert gate.settings.policy.title == "EZ-Homelob"


def test_without_its_files_the_gate_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"policy\.json cannot be read"):
        Settings.load(tmp_path)


def test_settings_made_in_memory_have_no_files_to_look_at() -> None:
    settings = Settings(read_policy(json.dumps(POLICY)), read_people(json.dumps(GOOD["people"])))

    assert not settings.reload()
    assert settings.policy.in_lan(HOME)


@pytest.mark.parametrize("text", ["", "00" * 31, "zz" * 32, "ä"])
def test_a_key_that_is_none_is_told_without_showing_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    options = Options.from_environment({"GATE_KEY": str(tmp_path / "key")})

    with pytest.raises(SettingsError) as refused:
        options.read_key()

    assert text == "" or text not in str(refused.value)


@pytest.mark.parametrize("port", ["", "x", "-1", "65536", "²"])
def test_a_port_that_is_none_is_told(port: str) -> None:
    with pytest.raises(SettingsError, match="GATE_AUTHORIZE_PORT"):
        Options.from_environment({"GATE_AUTHORIZE_PORT": port})


def test_options_are_those_of_the_container_unless_told_otherwise() -> None:
    plain, told = Options.from_environment({}), Options.from_environment({"GATE_DATA": "/x", "GATE_PORTAL_PORT": "1"})

    assert (plain.data, plain.portal_port, plain.authorize_port) == (Path("/data"), 9091, 9092)
    assert (told.data, told.portal_port, told.authorize_port) == (Path("/x"), 1, 9092)
