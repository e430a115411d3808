"""What the waker is told from outside, and what comes of its answers. Server and clock are fake ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ez_homelab.hosts.protocol import Command, Completed
from ez_homelab.runtime.waker import admin
from ez_homelab.testing.fake_host import FakeHost
from ez_homelab.waker_admin import ASK_WAKER, WakerError, order, waker_status

REFUSALS = yaml.safe_load(Path(__file__).with_name("waker_refusals.yaml").read_text())
UNKNOWN = {"error": "wiki is no app that sleeps", "kind": "unknown", "fix": "ez-homelab status"}


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that passes only where somebody waits; the waits."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        if seconds:
            waits.append(seconds)

    monkeypatch.setattr("ez_homelab.waker_admin.asyncio.sleep", sleep)
    monkeypatch.setattr("ez_homelab.waker_admin.time.monotonic", lambda: sum(waits))
    return waits


def answers(host: FakeHost, *documents: dict[str, Any]) -> None:
    """One document after the other, the last one again and again."""
    left = [*documents]

    def answer(command: Command) -> Completed:
        document = left.pop(0) if len(left) > 1 else left[0]
        return Completed(command, int("error" in document), json.dumps(document) + "\n", "")

    host.answer(lambda command: command.argv[: len(ASK_WAKER)] == ASK_WAKER, does=answer)


async def test_what_it_is_asked_and_told() -> None:
    host = FakeHost()
    answers(host, {"apps": {"wiki": {"state": "asleep"}}, "memory_saved": 7})
    assert (await waker_status(host))["apps"]["wiki"]["state"] == "asleep"
    answers(host, {"app": "wiki", "state": "awake", "seconds": 0.4})
    assert (await order(host, "wake", "wiki"))["seconds"] == 0.4
    await order(host, "hold", "wiki", 12.2)
    await order(host, "hold", "wiki", 86_400)
    await order(host, "release", "wiki")
    said = [" ".join(command.argv[len(ASK_WAKER) :]) for command in host.commands]
    assert said == ["status", "wake wiki", "hold wiki 13", "hold wiki 3600", "release wiki"]
    assert [command.changes for command in host.commands] == [False, True, True, True, True]


@pytest.mark.parametrize("start", [60.0, 3 * 3600.0])
async def test_a_slow_start_is_waited_for_as_long_as_it_may_take(start: float) -> None:
    host = FakeHost()
    answers(host, {"app": "wiki", "state": "awake", "seconds": start})
    await order(host, "wake", "wiki", start=start)
    (command,) = host.commands
    assert start < command.timeout < admin.SECONDS, "whoever is asked has to be given longer than who asks waits"


async def test_an_app_that_it_has_not_read_about_yet_is_asked_for_again(without_waiting: list[float]) -> None:
    host = FakeHost()
    answers(host, UNKNOWN, UNKNOWN, {"app": "wiki", "state": "held", "seconds": 60})
    assert (await order(host, "hold", "wiki", 60))["state"] == "held"
    assert without_waiting == [0.5, 0.5]
    answers(host, UNKNOWN)
    with pytest.raises(WakerError):
        await order(host, "hold", "wiki", 60)
    assert sum(without_waiting) == 11


async def test_who_only_looks_is_not_kept_waiting_by_a_waker_that_does_not_run(without_waiting: list[float]) -> None:
    with pytest.raises(WakerError, match="did not answer"):
        await waker_status(FakeHost())
    assert not without_waiting


@pytest.mark.parametrize("case", REFUSALS, ids=[case["name"] for case in REFUSALS])
async def test_what_it_refuses_says_why(case: dict[str, Any]) -> None:
    host = FakeHost()
    stdout = json.dumps(case["answer"]) if "answer" in case else ""
    stderr = case.get("stderr", "")
    host.answer((*ASK_WAKER, case["order"], "wiki"), status=1, stdout=stdout, stderr=stderr)
    with pytest.raises(WakerError) as caught:
        await order(host, case["order"], "wiki")
    told = caught.value.to_dict()
    assert {name: told[name] for name in case["error"]} == case["error"]
    assert told["evidence"] == stderr
    assert told["fix"]
