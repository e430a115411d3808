"""An app's life, step by step, and by chance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ez_homelab.runtime.waker.states import LONGEST_PAUSE, Answer, Life, OutOfTurnError, State

CASES = yaml.safe_load(Path(__file__).with_name("life_cases.yaml").read_text())
IDLE, HELD = 100.0, 600.0


def do(life: Life, now: float, what: str) -> object:
    done: dict[str, Any] = {
        "ask": lambda: life.ask(now),
        "retry": lambda: life.retry(now),
        "ready": lambda: life.ready(now),
        "fail": lambda: life.fail(now, "it fell"),
        "seen": lambda: life.seen_in_use(now),
        "may_sleep": lambda: life.may_sleep(now, IDLE),
        "fall": lambda: life.fall(now),
        "stay": lambda: life.stay(now),
        "stop": life.stop,
        "asleep": lambda: life.asleep(now),
        "hold": lambda: life.hold(now, HELD),
        "release running": lambda: life.release(now, running=True),
        "release running at its hours": lambda: life.release(now, running=True, stay=True),
        "release stopped": lambda: life.release(now, running=False),
        "found running": lambda: life.found(now, running=True),
        "found stopped": lambda: life.found(now, running=False),
    }
    try:
        return done[what]()
    except OutOfTurnError:
        return "out of turn"


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_life(case: dict[str, Any]) -> None:
    life = Life()
    for now, what, answer in case["steps"]:
        assert do(life, now, what) == (None if answer == "-" else answer), (now, what)
    assert life.state == case["state"]


STEPS = [
    *("ask", "retry", "ready", "fail", "seen", "fall", "stay", "stop", "asleep", "found running", "found stopped"),
    *("hold", "release running", "release stopped"),
]


@given(st.lists(st.tuples(st.floats(0, 50), st.sampled_from(STEPS)), max_size=60))
def test_whatever_happens_one_start_is_under_way_at_a_time(steps: list[tuple[float, str]]) -> None:
    life, now, starts = Life(), 0.0, 0
    for passed, what in steps:
        now += passed
        before = life.state
        answer = do(life, now, what)
        if answer is Answer.START:
            starts += 1
            assert before is not State.WAKING
        if before is not State.WAKING and life.state is State.WAKING:
            assert answer is Answer.START
        if what in ("ask", "retry"):
            assert answer in Answer
            assert (answer is Answer.SERVE) == (before is State.AWAKE)
        assert life.retry_at <= now + LONGEST_PAUSE


def test_the_pause_has_an_end() -> None:
    life, now = Life(), 0.0
    for _ in range(40):
        now = max(now, life.retry_at)
        assert life.ask(now) is Answer.START
        life.fail(now, "again")
    assert life.retry_at == now + LONGEST_PAUSE
