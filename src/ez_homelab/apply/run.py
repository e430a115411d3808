"""One apply: under the lab's lock, for the plan that was approved, written down, and looked at again afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ez_homelab.apply.executor import Execution, Outcome
from ez_homelab.errors import EzError, PlanStaleError
from ez_homelab.observe.look import APPLIED_RECORD
from ez_homelab.observe.observed import ObservedServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ez_homelab.apply.journal import Journal
    from ez_homelab.apply.work import ServerWork
    from ez_homelab.observe.observed import Unknown
    from ez_homelab.plan.action import Action, Plan
    from ez_homelab.progress import Progress

    Observed = Mapping[str, ObservedServer | Unknown]
    LookAndPlan = Callable[[], Awaitable[tuple[Plan, Observed]]]


class ApplyFailedError(EzError):
    """Some actions failed; what did not depend on them was carried through."""

    code = "apply-failed"

    def __init__(self, outcomes: tuple[Outcome, ...]) -> None:
        self.errors = tuple(outcome.error for outcome in outcomes if outcome.error)
        failed = [outcome.action for outcome in outcomes if outcome.state == "failed"]
        skipped = [outcome.action for outcome in outcomes if outcome.state == "skipped"]
        first = self.errors[0]
        waiting = f"; {len(skipped)} that wait for them were not tried" if skipped else ""
        super().__init__(
            f"{len(failed)} of {len(outcomes)} actions failed{waiting}: {first.what}",
            evidence=first.evidence,
            cause=first.cause,
            fix=first.fix,
        )

    def to_dict(self) -> dict[str, object]:
        """The error with one entry per failed action."""
        return super().to_dict() | {"errors": [error.to_dict() for error in self.errors]}


class NotSettledError(EzError):
    """Every action said done, and a second look found that the servers are still not as desired."""

    code = "not-settled"

    def __init__(self, left: Plan) -> None:
        super().__init__(
            "the servers are still not as the lab file says, although every action was done",
            evidence=left.text().strip(),
            cause="something else changes the same things, or an app failed right after its start",
            fix="ez-homelab plan",
        )


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply did."""

    plan: Plan
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True)
class Apply:
    """Everything one apply needs. `look_and_plan` looks at every server and plans afresh; `lab` is the folder."""

    works: Mapping[str, ServerWork]
    look_and_plan: LookAndPlan
    journal: Callable[[], Journal]
    progress: Progress
    who: str
    command: str
    lab: str

    async def carry_out(self, approved: Plan) -> Applied:
        """Do what was approved. The caller holds the lab's lock.

        Raises `PlanStaleError` where the world is no longer the one that was planned for, `ApplyFailedError` where an
        action failed, `NotSettledError` where a second look still finds something to do.
        """
        current, observed = await self.look_and_plan()
        _require_same(approved, current)
        journal = self.journal()
        try:
            run = journal.begin(who=self.who, command=self.command, plan=approved.hash)
            outcomes = await self._run(current, observed, journal, run)
            journal.end(run, "done" if all(outcome.state == "done" for outcome in outcomes) else "failed")
        finally:
            journal.close()
        if any(outcome.error for outcome in outcomes):
            raise ApplyFailedError(outcomes)
        left, _ = await self.look_and_plan()
        if left:
            raise NotSettledError(left)
        return Applied(approved, outcomes)

    async def _run(self, plan: Plan, observed: Observed, journal: Journal, run: int) -> tuple[Outcome, ...]:
        for name, found in observed.items():
            await self._record(name, found, finished=False)
        outcomes = await Execution(plan, self._perform, journal, run, self.progress).carry_out()
        if all(outcome.state == "done" for outcome in outcomes):
            for name, found in observed.items():
                await self._record(name, found, finished=True)
        return outcomes

    async def _perform(self, action: Action, say: Callable[[str], None]) -> None:
        await self.works[action.server].perform(action, say)

    async def _record(self, name: str, found: ObservedServer | Unknown, *, finished: bool) -> None:
        """Write down which contents are ours, before they are: a crash must never make them look like a person's."""
        if isinstance(found, ObservedServer):
            files = {file.path: [file.sha256] for file in self.works[name].server.files}
            if not finished:
                files = _together(found.applied.files, files)
            content = json.dumps({"lab": self.lab, "files": files}, indent=1, sort_keys=True).encode()
            await self.works[name].host.write(APPLIED_RECORD, content, mode=0o600)


def _together(before: Mapping[str, tuple[str, ...]], after: dict[str, list[str]]) -> dict[str, list[str]]:
    paths = before.keys() | after.keys()
    return {path: list(dict.fromkeys([*before.get(path, ()), *after.get(path, ())])) for path in paths}


def _require_same(approved: Plan, current: Plan) -> None:
    if approved.hash != current.hash:
        raise PlanStaleError(
            "the servers changed between the plan and its approval; nothing was done",
            evidence=f"plan {approved.hash} was approved, {current.hash} is due now",
            cause="another run, a person or an app changed something in between",
            fix="ez-homelab apply",
        )
