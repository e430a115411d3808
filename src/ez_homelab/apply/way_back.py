"""A stack whose new version fails goes back: containers, data and files as its generation before had them.

What is to be done is written down first and taken away last, so that a run that is cut off on the way back is finished
by the next one. Every step can be done twice.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from ez_homelab.apply import copies, networks, quiet
from ez_homelab.apply.containers import clear_routes, present, put_back, remove
from ez_homelab.apply.pending import forget_pending, read_pending, save_pending
from ez_homelab.config.rules import WAKER
from ez_homelab.errors import CommandError, EzError
from ez_homelab.hosts import Command, run_checked
from ez_homelab.observe import docker
from ez_homelab.render.core import NUDGE_PATH, ROUTES_VOLUME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ez_homelab.apply.pending import Pending
    from ez_homelab.hosts import Host
    from ez_homelab.observe.observed import ObservedContainer
    from ez_homelab.render.desired import DesiredServer, DesiredService

    Say = Callable[[str], None]


class WentBackError(EzError):
    """A stack's new version did not get well; its generation before runs again, with its data as they were."""

    code = "went-back"

    def __init__(self, pending: Pending, failure: EzError, now_runs: Mapping[str, str]) -> None:
        self.stack = pending.stack
        self.generation = pending.base
        self.failure = failure
        self.now_runs = dict(now_runs)
        super().__init__(
            f"{self.stack} did not get well with its new version and was taken back to generation {self.generation}",
            evidence=failure.evidence,
            cause=f"{failure.what}: {failure.cause}" if failure.cause else failure.what,
            fix=_mend(failure),
        )

    def leave_asleep(self, apps: Sequence[str]) -> None:
        """Add that these apps sleep as before, and that nothing wakes them any more."""
        names = " and ".join(apps)
        self.what += f"; {names} cannot be opened until the next apply"
        self.cause += f"; as before, {names} is to be woken by what the core stack no longer has, and others need it so"
        self.fix += f"; or to open {names} again: let it sleep in homelab.yaml (`lazy`, `on_demand`) as it did"
        self.args = (self.what,)

    def to_dict(self) -> dict[str, object]:
        """The error with the stack, its generation, what its containers run now, and what failed first."""
        return super().to_dict() | {
            "stack": self.stack,
            "generation": self.generation,
            "now_runs": self.now_runs,
            "failure": self.failure.to_dict(),
        }


class GoBackFailedError(EzError):
    """A stack's new version did not get well, and its generation before could not be brought back either."""

    code = "go-back-failed"

    def __init__(self, pending: Pending, failure: EzError, problem: EzError, now_runs: Mapping[str, str]) -> None:
        self.stack = pending.stack
        self.generation = pending.base
        self.failure = failure
        self.problem = problem
        self.now_runs = dict(now_runs)
        super().__init__(
            f"{self.stack} did not get well with its new version, and not when taken back to generation"
            f" {self.generation}: {problem.what}",
            evidence=problem.evidence,
            cause=f"{problem.cause}; the new version failed before: {failure.what}".removeprefix("; "),
            fix=problem.fix,
        )

    def to_dict(self) -> dict[str, object]:
        """The error with both failures, and what the stack's containers run now."""
        return super().to_dict() | {
            "stack": self.stack,
            "generation": self.generation,
            "now_runs": self.now_runs,
            "failure": self.failure.to_dict(),
            "problem": self.problem.to_dict(),
        }


def _mend(failure: EzError) -> str:
    """What to do before the next try. An app that failed has said why in its log; everything else has its own fix."""
    if failure.fix and not failure.fix.startswith("ez-homelab logs "):
        return f"{failure.fix}; then: ez-homelab apply"
    return "mend what its log says, or name the version before in homelab.yaml, then: ez-homelab apply"


async def go_back(host: Host, pending: Pending, before: DesiredServer, failure: EzError, say: Say) -> EzError:
    """Take the stack back. Returns the error to report: `WentBackError`, or `GoBackFailedError` where that failed too.

    Where data or files could not be put back, `finish_pending` goes on with it in the next run.
    """
    pending = replace(pending, failure=(failure.what, failure.cause, failure.fix))
    try:
        problems = await _carry_out(host, pending, before, say)
    except EzError as problem:
        problems = [problem]
    now_runs: dict[str, str] = {}
    with contextlib.suppress(EzError):
        now_runs = {one.name: one.image for one in await _ours(host, pending)}
    if problems:
        return GoBackFailedError(pending, failure, problems[0], now_runs)
    return WentBackError(pending, failure, now_runs)


async def finish_pending(host: Host, pending: Pending, before: DesiredServer, say: Say) -> EzError:
    """Finish a way back that was cut off, before anything else is done; `before` is the server in `pending.base`.

    Returns what `go_back` returns.
    """
    what, cause, fix = pending.failure
    return await go_back(host, pending, before, EzError(what, cause=cause, fix=fix), say)


async def start_stopped(host: Host) -> tuple[str, ...]:
    """`copies.start_again` for all but the data that a way back which is not finished still has to put back."""
    waiting = {volume for pending in await read_pending(host) for volume in (*pending.copies, *pending.restored)}
    return await copies.start_again(host, leave=waiting)


async def _carry_out(host: Host, pending: Pending, before: DesiredServer, say: Say) -> list[EzError]:
    """All of it. Returns why containers that were put back are not well; raises where data or files were not."""
    # A disk that the new version has filled has space again when it is gone.
    with contextlib.suppress(CommandError):
        await save_pending(host, pending)
    for container in await _ours(host, pending):
        say(f"remove {container.name}")
        await remove(host, container.name)
    if WAKER in (*pending.containers, *pending.added):
        await clear_routes(host, ROUTES_VOLUME, NUDGE_PATH)
    await save_pending(host, pending)
    for volume in pending.copies:
        say(f"put back the data of {volume}")
        await copies.restore_volume(host, volume, pending.base)
    # From now on the version before writes into it: it must never be put back twice.
    pending = replace(pending, copies=(), restored=tuple(sorted({*pending.restored, *pending.copies})))
    await save_pending(host, pending)
    await _put_files_back(host, pending, before)
    problems = await _put_containers_back(host, pending, before, say)
    for volume in pending.restored:
        await copies.drop_copy(host, volume, pending.base)
    await forget_pending(host, pending.stack)
    return problems


async def _put_files_back(host: Host, pending: Pending, before: DesiredServer) -> None:
    for file in before.files:
        if file.path in pending.files:
            await host.write(file.path, file.content, mode=file.mode, uid=file.uid, gid=file.gid)
    for path in pending.added_files:
        await host.remove(path)


async def _put_containers_back(host: Host, pending: Pending, before: DesiredServer, say: Say) -> list[EzError]:
    """Each after those it depends on. One that fails stops no other, and the next run may mend it."""
    services = _in_order([service for service in before.services if service.name in pending.containers])
    await _give_back(host, before, services)
    await networks.make_missing(host, before, services)
    problems: list[EzError] = []
    for at, service in enumerate(services):
        try:
            say(f"put back {service.name}")
            await quiet.start_needed(host, before, {one.name for one in services[at:]}, say)
            await put_back(host, service, say)
        except EzError as error:
            problems.append(error)
    await networks.join_neighbours(host, before, pending.containers)
    return problems


async def _give_back(host: Host, before: DesiredServer, services: Sequence[DesiredService]) -> None:
    """The new version may have had another user, and the volumes' folders were handed to that one."""
    used = {name for service in services for name in service.volumes}
    for volume in before.volumes:
        if volume.owner and volume.name in used:
            what = f"cannot give {volume.name} back to {volume.owner}"
            order = docker.probe("volume", "inspect", "--format", "{{.Mountpoint}}", volume.name)
            folder = (await run_checked(host, order, what=what)).stdout.strip()
            await run_checked(host, Command(("chown", volume.owner, "--", folder)), what=what)


def _in_order(services: Sequence[DesiredService]) -> list[DesiredService]:
    ordered: list[DesiredService] = []
    waiting = list(services)
    while waiting:
        names = {service.name for service in waiting}
        ready = [service for service in waiting if not names & {*service.depends_on}] or waiting
        ordered += ready
        waiting = [service for service in waiting if service not in ready]
    return ordered


async def _ours(host: Host, pending: Pending) -> tuple[ObservedContainer, ...]:
    """Those of the way back's containers that are there and ours."""
    found = await present(host, [*pending.containers, *pending.added])
    return tuple(one for one in found if one.fingerprint is not None)
