"""What an apply asks of the lab that it is for: work to do, images locked, secrets saved, generations kept."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.apply.work import ServerWork
    from ez_homelab.generations.document import Recorded
    from ez_homelab.generations.index import StackOutcome
    from ez_homelab.images.lock import LockedImage
    from ez_homelab.lab import Homelab
    from ez_homelab.observe import ObservedServer, Unknown
    from ez_homelab.plan import Plan

KEEP_GENERATIONS = 50
"""How many generations are kept; what runs is kept in any case."""

CAUSES = 3
"""How many causes a generation's `why` names."""

KEEP_COPIES = 3
"""Of how many generations copies of data are kept: they are as large as the data."""


class LabSurroundings:
    """One apply's view of a lab; see `ez_homelab.apply.run.Surroundings`."""

    def __init__(self, lab: Homelab, *, start_held: bool = False) -> None:
        self._lab = lab
        self._start_held = start_held
        self._numbers: dict[str, int] = {}
        self._works: dict[str, ServerWork] = {}
        self._made_for: object = None

    async def prepare(self) -> None:
        """Find out what runs now. The lab's lock is held."""
        from ez_homelab.generations.index import running

        # Who has held the lock since before the plan has recovered then, and nobody else has run since.
        if not self._lab.holds_lock:
            await self.recover()
        with closing(self._lab.generations()) as index:
            self._numbers = running(index.all())

    @property
    def works(self) -> Mapping[str, ServerWork]:
        """What actions need, by server, for the lab as it is rendered now."""
        from ez_homelab.apply.images import ImageWork
        from ez_homelab.apply.work import ServerWork

        lab = self._lab
        if self._made_for is not lab.desired:
            self._made_for = lab.desired
            editions, mirror = lab.editions_by_tag, lab.lab.images.mirror
            self._works = {
                name: ServerWork(
                    lab.hosts[name], server, lab.lab.domain,
                    ImageWork(lab.hosts[name], editions, lab.image_lock, mirror), lab.rotations, self._numbers,
                )
                for name, server in lab.desired.servers.items()
            }  # fmt: skip
        return self._works

    async def look_and_plan(self) -> tuple[Plan, Mapping[str, ObservedServer | Unknown]]:
        """One look at every server, and the plan for it."""
        return await self._lab.look_and_plan(start_held=self._start_held)

    def secure(self) -> None:
        """Secrets are saved before anything is made with them: an app that knows one that nobody else does is lost."""
        self._lab.save_secrets()

    def lock_images(self, found: Mapping[str, LockedImage]) -> None:
        """Settle which images these names mean; the lock file is written at once, because containers will name them."""
        self._lab.settle_images(found)
        self._lab.save_lock()

    async def bases(self) -> Mapping[str, tuple[int, Recorded]]:
        """By stack the generation that runs, of those that ever came up."""
        from ez_homelab.generations.index import running
        from ez_homelab.generations.keep import load

        with closing(self._lab.generations()) as index:
            numbers = running(index.all())
            loaded = {number: await load(index, number, self._lab.hosts) for number in {*numbers.values()}}
        return {stack: (number, loaded[number]) for stack, number in numbers.items()}

    async def recover(self) -> None:
        """Finish what a run has left that was cut off. Raises `WentBackError`, `GoBackFailedError`."""
        from ez_homelab.apply import quiet
        from ez_homelab.apply.pending import read_pending
        from ez_homelab.apply.way_back import finish_pending, start_stopped

        errors = []
        for name, host in self._lab.hosts.items():
            waiting = await read_pending(host)
            if waiting:
                await quiet.hold_longer(host)
            for pending in waiting:
                with self._lab.progress.step(f"finish taking {pending.stack} back") as say:
                    recorded = await self._lab.generation(pending.base)
                    errors.append(await finish_pending(host, pending, recorded.desired.servers[name], say))
            for container in await start_stopped(host):
                with self._lab.progress.step(f"start {container}, which a run that was cut off had stopped"):
                    pass
            for group in await quiet.release_all(host):
                with self._lab.progress.step(f"release {group}, which a run that was cut off had held"):
                    pass
        if errors:
            raise errors[0]

    async def keep(self, plan: Plan, outcomes: Mapping[str, StackOutcome], run: int) -> None:
        """Write down the generation that came of it, and let go of old ones."""
        from ez_homelab.apply.copies import copied_bases, prune_copies
        from ez_homelab.apply.pending import read_pending
        from ez_homelab.generations.index import running
        from ez_homelab.generations.keep import prune, record

        lab = self._lab
        whole = all(outcome == "done" for outcome in outcomes.values())
        if whole:
            lab.settle_secrets()
        lab.save_lock()
        with closing(self._lab.generations()) as index:
            await record(
                lab.hosts, index, lab.desired, lab.own_files(), {}, who=lab.who, command=lab.command,
                why=lab.why or _causes(plan), plan=plan.hash, outcome="done" if whole else _worst(outcomes),
                outcomes=outcomes, run=run,
            )  # fmt: skip
            copied: set[int] = set()
            for host in lab.hosts.values():
                needed = {pending.base for pending in await read_pending(host)} | {*running(index.all()).values()}
                bases = await copied_bases(host)
                latest = {*sorted(bases)[-KEEP_COPIES:], *(bases & needed)}
                await prune_copies(host, latest)
                copied |= {*latest}
            await prune(index, lab.hosts, KEEP_GENERATIONS, pinned=copied)


def _causes(plan: Plan) -> str:
    """Why containers were changed, the most frequent causes first; why anything was, where none were."""
    services = [action.cause for action in plan.actions if action.kind == "service"]
    counts = Counter(services or [action.cause for action in plan.actions])
    return "; ".join(f"{cause} ({count})" if count > 1 else cause for cause, count in counts.most_common(CAUSES))


def _worst(outcomes: Mapping[str, StackOutcome]) -> StackOutcome:
    return "failed" if "failed" in outcomes.values() else "went-back"
