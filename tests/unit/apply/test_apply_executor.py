"""A plan is carried out in its order, as far as it can be."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from ez_homelab.apply.executor import AT_ONCE, Execution, Outcome
from ez_homelab.apply.journal import Journal
from ez_homelab.errors import CommandError, EzError
from ez_homelab.plan import Action, Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ez_homelab.plan.action import Kind


def action(name: str, *waits_for: str, kind: Kind = "service", server: str = "core") -> Action:
    return Action(server, kind, name, "create", "missing", tuple(f"core:{earlier}" for earlier in waits_for))


class Told:
    """A `Progress` that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        self.lines.append(f"begin {name}")
        try:
            yield lambda line: self.lines.append(f"{name}: {line}")
        except BaseException:
            self.lines.append(f"failed {name}")
            raise
        self.lines.append(f"done {name}")


class Work:
    """Performs by waiting until all that can begin has begun; fails where it is told to."""

    def __init__(self, **failures: BaseException) -> None:
        self.failures = failures
        self.log: list[str] = []
        self.at_once = self.most_at_once = 0
        self.most_images = self.images = 0

    async def perform(self, action: Action, say: Callable[[str], None]) -> None:
        self.log.append(f"begin {action.name}")
        self.at_once += 1
        self.images += action.kind == "image"
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.most_images = max(self.most_images, self.images)
        for _ in range(10):
            await asyncio.sleep(0)
        say("working")
        self.at_once -= 1
        self.images -= action.kind == "image"
        if action.name in self.failures:
            raise self.failures[action.name]
        self.log.append(f"end {action.name}")


async def carry_out(work: Work, *actions: Action, told: Told | None = None) -> dict[str, Outcome]:
    journal = Journal(":memory:")
    run = journal.begin(who="me", command="test", plan="x")
    execution = Execution(Plan(actions), work.perform, journal, run, told or Told())
    outcomes = await execution.carry_out()
    assert [outcome.action for outcome in outcomes] == list(actions)
    return {outcome.action.name: outcome for outcome in outcomes}


async def test_each_begins_when_what_it_waits_for_is_done_whatever_the_order() -> None:
    work = Work()
    await carry_out(work, action("c", "service:b", "service:a"), action("b", "service:a"), action("a"))
    assert work.log == ["begin a", "end a", "begin b", "end b", "begin c", "end c"]


async def test_what_waits_for_nothing_goes_on_at_the_same_time_up_to_the_limit() -> None:
    work = Work()
    await carry_out(work, *(action(f"s{number}") for number in range(3 * AT_ONCE)))
    assert work.most_at_once == AT_ONCE


async def test_one_image_at_a_time_and_other_work_beside_it() -> None:
    work = Work()
    await carry_out(work, *(action(f"i{number}", kind="image") for number in range(4)), action("s"))
    assert work.most_images == 1
    assert work.most_at_once == 2


async def test_the_limit_is_one_per_server() -> None:
    work = Work()
    await carry_out(work, *(action(f"{server}{n}", server=server) for server in ("a", "b") for n in range(AT_ONCE)))
    assert work.most_at_once == 2 * AT_ONCE


async def test_a_failure_takes_along_what_waits_for_it_and_nothing_else() -> None:
    error = CommandError("no")
    outcomes = await carry_out(
        Work(a=error), action("a"), action("b", "service:a"), action("c", "service:b"), action("d"),
        action("e", "service:d"),
    )  # fmt: skip
    assert {name: outcome.state for name, outcome in outcomes.items()} == {
        "a": "failed", "b": "skipped", "c": "skipped", "d": "done", "e": "done",
    }  # fmt: skip
    assert outcomes["a"].error is error
    assert outcomes["b"].error is None


async def test_a_fault_in_the_program_is_raised_as_it_is() -> None:
    fault = ZeroDivisionError("a bug")
    with pytest.raises(ExceptionGroup) as group:
        await carry_out(Work(a=fault), action("a"), action("b", "service:a"), action("c"))
    assert group.value.exceptions == (fault,)


async def test_steps_are_told_and_files_only_when_they_fail() -> None:
    told = Told()
    await carry_out(Work(b=EzError("no")), action("a"), action("b"), action("f", kind="file"), told=told)
    assert "create service a: working" in told.lines
    assert {"done create service a", "failed create service b"} <= set(told.lines)
    assert not [line for line in told.lines if "file" in line]


async def test_an_empty_plan_is_done_at_once() -> None:
    assert await carry_out(Work()) == {}
