"""One apply: under the lab's lock, for the plan that was approved, written down, and looked at again afterwards.

It has two stages, because the digest of an image is known only when it is there: images first, then everything else,
rendered with the digests and planned anew. The second stage does nothing that was not approved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from ez_homelab.apply import quiet
from ez_homelab.apply.executor import Execution, Outcome
from ez_homelab.apply.failures import ApplyFailedError, NotSettledError
from ez_homelab.apply.return_stacks import return_stacks
from ez_homelab.apply.way_back import GoBackFailedError, WentBackError, start_stopped
from ez_homelab.errors import EzError, PlanStaleError
from ez_homelab.observe import docker
from ez_homelab.observe.look import APPLIED_RECORD
from ez_homelab.observe.observed import AppliedRecord, ObservedServer
from ez_homelab.observe.record import encode_applied
from ez_homelab.plan.files import kept_texts
from ez_homelab.plan.stages import image_stage, unapproved

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ez_homelab.apply.journal import Journal
    from ez_homelab.apply.work import ServerWork
    from ez_homelab.generations.document import Recorded
    from ez_homelab.generations.index import StackOutcome
    from ez_homelab.images.lock import LockedImage
    from ez_homelab.observe.observed import Unknown
    from ez_homelab.plan.action import Action, Plan
    from ez_homelab.progress import Progress
    from ez_homelab.render.desired import DesiredService

    Observed = Mapping[str, ObservedServer | Unknown]


class Surroundings(Protocol):
    """What an apply asks of the lab that it is for."""

    @property
    def works(self) -> Mapping[str, ServerWork]:
        """What actions need, by server, for the lab as it is rendered now."""
        ...

    async def look_and_plan(self) -> tuple[Plan, Observed]:
        """One look at every server, and the plan for it."""
        ...

    def secure(self) -> None:
        """Put on disk what must not be lost once the first thing is changed."""
        ...

    def lock_images(self, found: Mapping[str, LockedImage]) -> None:
        """Write down which images these names mean, and render the lab anew with them."""
        ...

    async def bases(self) -> Mapping[str, tuple[int, Recorded]]:
        """By stack the generation that runs."""
        ...

    async def keep(self, plan: Plan, outcomes: Mapping[str, StackOutcome], run: int) -> None:
        """Write down the generation that came of it, and let go of old ones."""
        ...


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply did."""

    plan: Plan
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True)
class Apply:
    """Everything one apply needs; `lab` is the folder."""

    surroundings: Surroundings
    journal: Callable[[], Journal]
    progress: Progress
    who: str
    command: str
    lab: str

    async def carry_out(self, approved: Plan) -> Applied:
        """Do what was approved. The caller holds the lab's lock.

        Raises `PlanStaleError` where the world is no longer the one that was planned for, `WentBackError` where a
        stack's new version failed and the one before runs again, `ApplyFailedError` where an action failed,
        `NotSettledError` where a second look still finds something to do.
        """
        current, observed = await self.surroundings.look_and_plan()
        _require_same(approved, current)
        self.surroundings.secure()
        journal = self.journal()
        try:
            run = journal.begin(who=self.who, command=self.command, plan=approved.hash)
            outcomes, errors = await self._run(current, observed, journal, run)
            errors += _end(journal, run, "failed" if errors else "done")
        finally:
            journal.close()
        if errors:
            all_done = all(outcome.state == "done" for outcome in outcomes)
            whole = len(errors) == 1 and isinstance(errors[0], WentBackError | GoBackFailedError)
            raise errors[0] if whole or all_done else ApplyFailedError(outcomes, errors)
        left, _ = await self.surroundings.look_and_plan()
        if left:
            raise NotSettledError(left)
        return Applied(approved, outcomes)

    async def _run(
        self, plan: Plan, observed: Observed, journal: Journal, run: int
    ) -> tuple[tuple[Outcome, ...], list[EzError]]:
        images = image_stage(plan)
        first = await self._execute(images, observed, journal, run, {}) if images else ()
        known = {outcome.action.id: outcome for outcome in first}
        rest = plan
        if images:
            rest, observed = await self._planned_anew(plan)
        second = await self._execute(rest, observed, journal, run, _failed(known))
        outcomes = (*(one for one in first if one.action.id not in {two.action.id for two in second}), *second)
        returned = await self._return_failed(outcomes, observed)
        errors = [*dict.fromkeys(returned.values()), *_other_errors(outcomes, returned)]
        try:
            await self._record(rest, outcomes, observed)
            await self.surroundings.keep(plan, self._stack_outcomes(outcomes, returned), run)
        except EzError as error:
            errors.append(error)
        return outcomes, errors

    async def _planned_anew(self, plan: Plan) -> tuple[Plan, Observed]:
        found = {name: image for work in self.surroundings.works.values() for name, image in work.images.found.items()}
        self.surroundings.lock_images(found)
        rest, observed = await self.surroundings.look_and_plan()
        if surplus := unapproved(plan, rest):
            raise PlanStaleError(
                "with the images there, something else is due than was approved; nothing but images was changed",
                evidence="\n".join(action.line() for action in surplus),
                cause="another run, a person or an app changed something in between",
                fix="ez-homelab apply",
            )
        return rest, observed

    async def _execute(
        self, plan: Plan, observed: Observed, journal: Journal, run: int, earlier: Mapping[str, Outcome]
    ) -> tuple[Outcome, ...]:
        for name, found in observed.items():
            await self._write_before(name, found, plan)
        return await Execution(plan, self._perform, journal, run, self.progress, earlier).carry_out()

    async def _perform(self, action: Action, say: Callable[[str], None]) -> None:
        await self.surroundings.works[action.server].perform(action, say)

    async def _return_failed(self, outcomes: Sequence[Outcome], observed: Observed) -> dict[tuple[str, str], EzError]:
        if all(outcome.state == "done" for outcome in outcomes):
            return {}
        bases = await self.surroundings.bases()
        works = self.surroundings.works
        for work in works.values():
            await quiet.hold_longer(work.host)
        returned = await return_stacks(works, bases, observed, outcomes, self.progress)
        for work in works.values():
            # What was stopped for a copy and then not replaced would look as if a person had stopped it.
            await start_stopped(work.host)
            await quiet.release_all(work.host)
        return returned

    def _stack_outcomes(
        self, outcomes: Sequence[Outcome], returned: Mapping[tuple[str, str], EzError]
    ) -> dict[str, StackOutcome]:
        result: dict[str, StackOutcome] = {}
        for name, work in self.surroundings.works.items():
            for stack in work.server.stacks:
                failed = any(one.state != "done" and stack.name in work.stacks_of(one.action) for one in outcomes)
                error = returned.get((name, stack.name))
                back = isinstance(error, WentBackError)
                result[stack.name] = "went-back" if back else "failed" if failed else "done"
        return result

    async def _write_before(self, name: str, found: ObservedServer | Unknown, plan: Plan) -> None:
        """Write down which contents are ours, before they are: a crash must never make them look like a person's."""
        if isinstance(found, ObservedServer):
            files = {file.path: (file.sha256,) for file in self.surroundings.works[name].server.files}
            changed = _containers([action for action in plan.actions if action.server == name])
            definitions = {one: of for one, of in found.applied.definitions.items() if one not in changed}
            record = replace(
                found.applied, lab=self.lab, files=_together(found.applied.files, files), definitions=definitions
            )
            await self._write(name, record)

    async def _record(self, plan: Plan, outcomes: Sequence[Outcome], observed: Observed) -> None:
        """Write down what came of it: for a server without failures just what is there, otherwise both."""
        for name, found in observed.items():
            if not isinstance(found, ObservedServer):
                continue
            work = self.surroundings.works[name]
            failed = {stack for one in outcomes if one.state != "done" and one.action.server == name
                      for stack in work.stacks_of(one.action)}  # fmt: skip
            whole = all(one.state == "done" for one in outcomes if one.action.server == name)
            files: dict[str, tuple[str, ...]] = {file.path: (file.sha256,) for file in work.server.files}
            if not whole:
                files = _together(found.applied.files, files)
            made = {one.action.name for one in outcomes if one.action.kind == "service" and one.action.server == name}
            images = {one.name: _image(one, failed, made, found) for one in work.server.services}
            kept = kept_texts(plan.kept, found)
            tried = _containers(
                [one.action for one in outcomes if one.state != "skipped" and one.action.server == name]
            )
            definitions = await _definitions(work, found, tried)
            used = {key: image for key, image in images.items() if image}
            await self._write(name, AppliedRecord(files, self.lab, used, kept, definitions))

    async def _write(self, name: str, record: AppliedRecord) -> None:
        await self.surroundings.works[name].host.write(APPLIED_RECORD, encode_applied(record), mode=0o600)


def _image(service: DesiredService, failed: set[str], made: set[str], found: ObservedServer) -> str:
    """The version that the service's data was last well with: the new one where it came up, or was there already."""
    container = found.container(service.name)
    there = service.key in made or (container is not None and container.image == service.image)
    return service.image if there and service.stack not in failed else found.applied.images.get(service.name, "")


def _containers(actions: Sequence[Action]) -> set[str]:
    """The containers that the actions make, start or remove."""
    return {action.name.partition("/")[2] for action in actions if action.kind == "service"}


async def _definitions(work: ServerWork, found: ObservedServer, tried: set[str]) -> dict[str, str]:
    """What each container is made from: as the engine says of those that this run made, as was known of the others."""
    known = {one.name: one.definition for one in found.containers} | {**found.applied.definitions}
    made = await work.host.run(docker.inspect_containers(sorted(tried))) if tried else None
    known = {name: of for name, of in known.items() if name not in tried}
    known |= {one.name: one.definition for one in docker.parse_containers(made.stdout if made else "")}
    return {service.name: known[service.name] for service in work.server.services if known.get(service.name)}


def _end(journal: Journal, run: int, outcome: str) -> list[EzError]:
    """Write down the run's end; that it could not be must not hide what else went wrong."""
    try:
        journal.end(run, outcome)
    except EzError as error:
        return [error]
    return []


def _failed(outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    return {name: outcome for name, outcome in outcomes.items() if outcome.state != "done"}


def _other_errors(outcomes: Sequence[Outcome], returned: Mapping[tuple[str, str], EzError]) -> list[EzError]:
    """The failures that no way back tells of."""
    told = {id(getattr(error, "failure", None)) for error in returned.values()}
    return [outcome.error for outcome in outcomes if outcome.error and id(outcome.error) not in told]


def _together(
    before: Mapping[str, tuple[str, ...]], after: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    paths = before.keys() | after.keys()
    return {path: tuple(dict.fromkeys([*before.get(path, ()), *after.get(path, ())])) for path in paths}


def _require_same(approved: Plan, current: Plan) -> None:
    if approved.hash != current.hash:
        raise PlanStaleError(
            "the servers changed between the plan and its approval; nothing was done",
            evidence=f"plan {approved.hash} was approved, {current.hash} is due now",
            cause="another run, a person or an app changed something in between",
            fix="ez-homelab apply",
        )
