"""Whom a proof wakes: nobody, all of them, or what an apply has touched."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from ez_homelab.cli.app import cli
from ez_homelab.lab import Homelab
from ez_homelab.plan import Plan
from ez_homelab.render.desired import WakeGroup
from ez_homelab.verify import Proof, Waking
from ez_homelab.verify.proof import failed, passed

if TYPE_CHECKING:
    from engine_in_memory import LabOnFakeServer

TEXT = """
version: 1
domain: lab.localhost
stacks:
  wiki: [{radicale: {lazy: {mode: stop}}}, {dokuwiki: {lazy: {mode: stop}}}]
"""
GROUPS = [WakeGroup(name, (name, f"{name}-more"), (name,), 90.0) for name in ("radicale", "dokuwiki")]


@pytest.fixture
def asked(there: LabOnFakeServer, monkeypatch: pytest.MonkeyPatch) -> list[Waking]:
    """What each look was to wake."""
    wanted: list[Waking] = []

    async def verify_lab(*arguments: object) -> Proof:
        wanted.extend(one for one in arguments if isinstance(one, Waking))
        return Proof((passed("dokuwiki", "name", ""), failed("radicale", "name", "")))

    monkeypatch.setattr("ez_homelab.verify.verify_lab", verify_lab)
    monkeypatch.setattr("ez_homelab.lab.SETTLE_PAUSES", (0.0, 0.0))
    there.write(TEXT)
    return wanted


def woken(waking: Waking) -> list[str]:
    return [group.name for group in GROUPS if waking.wants(group)]


@pytest.mark.parametrize(("words", "expected"), [((), []), (("--all",), ["radicale", "dokuwiki"])])
def test_the_command_wakes_nothing_unless_it_is_told(
    there: LabOnFakeServer, asked: list[Waking], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...],
    expected: list[str],
) -> None:  # fmt: skip
    made = partial(Homelab, make_host=lambda _name: there.host, journal_path=there.journal_path)
    monkeypatch.setattr("ez_homelab.lab.Homelab", made)
    result = CliRunner().invoke(cli, ["verify", *words, "--lab", str(there.folder)], prog_name="ez-homelab")
    assert result.exit_code == 1, result.output
    assert [woken(waking) for waking in asked] == [expected]


async def test_after_an_apply_what_it_touched_is_woken_and_what_held_is_remembered(
    there: LabOnFakeServer, asked: list[Waking]
) -> None:
    plan = await there.lab.plan()
    await there.lab.verify_applied(plan)
    assert woken(asked[0]) == ["radicale", "dokuwiki"]
    assert len(asked) == 2
    assert asked[0] is asked[1]


async def test_what_no_apply_touched_is_not_woken(there: LabOnFakeServer, asked: list[Waking]) -> None:
    await there.lab.verify_applied(Plan(()), whole=True)
    assert [woken(waking) for waking in asked] == [[], []]


def test_people_stay_as_long_as_waking_takes() -> None:
    assert [Waking(apps).minutes(GROUPS) for apps in ((), ("radicale-more",), None)] == [0, 3, 5]


def test_what_held_is_kept_by_server_and_what_failed_is_not() -> None:
    waking = Waking(None)
    waking.keep("core", "radicale", [passed("radicale", "wakes", "")])
    waking.keep("core", "dokuwiki", [passed("dokuwiki", "asleep", ""), failed("dokuwiki", "wakes", "")])
    assert [*waking.rows("core", "radicale")] == [passed("radicale", "wakes", "")]
    assert waking.rows("core", "dokuwiki") == waking.rows("other", "radicale") == ()
