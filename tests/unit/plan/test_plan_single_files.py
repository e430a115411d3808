"""A file that is mounted by itself stays the old one in the container when it is replaced: that is started again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ez_homelab.config.model import AppInstance, LazySettings, Stack
from ez_homelab.plan import make_plan
from ez_homelab.plan.files import Choices
from ez_homelab.render.core import NUDGE_PATH
from ez_homelab.testing.make_lab import desired_of, make_lab, observed_as

if TYPE_CHECKING:
    from ez_homelab.hosts import FileState
    from ez_homelab.observe import ObservedServer

SLEEPS = AppInstance("dokuwiki", "dokuwiki", lazy=LazySettings(mode="stop"))
DESIRED = desired_of(make_lab(stacks=(Stack("wiki", apps=(SLEEPS,)),)))
WAKER = "core:service:core/waker"
NUDGE = f"core:file:{NUDGE_PATH}"
SERVICES = DESIRED.servers["core"].services
STATE = observed_as(DESIRED)["core"].files[NUDGE_PATH]
assert STATE is not None


def seen(found: FileState | None, **waker: str) -> ObservedServer:
    server = observed_as(DESIRED, containers={"waker": waker})["core"]
    files = {path: state for path, state in server.files.items() if path != NUDGE_PATH}
    return replace(server, files=files if found is None else {**files, NUDGE_PATH: found})


EDITED = replace(STATE, sha256="ab" * 32)


@pytest.mark.parametrize("state", [None, EDITED, replace(STATE, mode=0o666), replace(STATE, uid=7)])
def test_the_waker_is_started_again_when_what_it_touches_is_put_back(state: FileState | None) -> None:
    actions = {action.id: action for action in make_plan(DESIRED, {"core": seen(state)}).actions}
    assert {*actions} == {NUDGE, WAKER}
    restart = actions[WAKER]
    assert (restart.verb, restart.cause) == ("restart", "nudge.yml, which it sees by itself, is replaced")
    assert NUDGE in restart.waits_for
    assert restart.downtime == next(one for one in SERVICES if one.name == "waker").expected_downtime


@pytest.mark.parametrize("fields", [{"fingerprint": "before"}, {"state": "exited", "health": "none", "error": "no"}])
def test_one_that_is_made_anew_or_started_anyway_sees_it_by_that(fields: dict[str, str]) -> None:
    actions = {action.id: action for action in make_plan(DESIRED, {"core": seen(EDITED, **fields)}).actions}
    assert actions[WAKER].verb != "restart"
    assert NUDGE in actions[WAKER].waits_for


def test_one_that_a_person_stopped_stays_so() -> None:
    plan = make_plan(DESIRED, {"core": seen(EDITED, state="exited", health="none")})
    assert [action.id for action in plan.actions] == [NUDGE]
    assert [held.name for held in plan.held] == ["core/waker"]


def test_a_text_that_stays_starts_nobody_again() -> None:
    assert not make_plan(DESIRED, {"core": seen(EDITED)}, choices=Choices("keep")).actions
