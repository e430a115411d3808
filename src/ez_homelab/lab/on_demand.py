"""What can be told of a lab's apps that sleep, and waking them by hand; the door to it is the class in this package."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal

from ez_homelab.errors import EzError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ez_homelab.hosts import Host
    from ez_homelab.lab import Homelab
    from ez_homelab.observe.states import AppStatus
    from ez_homelab.render.desired import DesiredServer, WakeGroup
    from ez_homelab.waker_admin import GroupStatus, WakerStatus

Verb = Literal["wake", "sleep"]

LAST_LINES = 3
"""How much of a container's log is told where an app has not started."""


@dataclass(frozen=True, slots=True)
class Moved:
    """An app that was woken or put to sleep with its group, its state now, and the seconds that it took."""

    app: str
    group: str
    server: str
    state: Literal["awake", "asleep"]
    seconds: float


class OnDemandError(EzError):
    """Some of the apps that were to be woken or put to sleep are not as they should be."""

    code = "on-demand"

    def __init__(self, errors: Sequence[EzError], wanted: int, done: Iterable[Moved] = ()) -> None:
        """`wanted`: how many were to be moved; `done`: those that were."""
        self.errors = tuple(errors)
        self.done = tuple(done)
        first = self.errors[0]
        super().__init__(
            f"{len(errors)} of {wanted} did not do as they were told: {first.what}",
            evidence=first.evidence,
            cause=first.cause,
            fix=first.fix,
        )

    def to_dict(self) -> dict[str, object]:
        """The error with one entry for each of them, and for each app that is as it should be."""
        errors, done = [error.to_dict() for error in self.errors], [asdict(one) for one in self.done]
        return super().to_dict() | {"errors": errors, "done": done}


async def told(lab: Homelab) -> dict[str, WakerStatus | EzError]:
    """What the waker of each server tells, or why it does not; nothing of servers that have none."""
    from ez_homelab.plan.quiet import waker_of

    servers = [server.name for server in lab.desired.servers.values() if waker_of(server)]
    answers = await asyncio.gather(*(_ask(lab.hosts[name]) for name in servers))
    return dict(zip(servers, answers, strict=True))


async def _ask(host: Host) -> WakerStatus | EzError:
    from ez_homelab.waker_admin import waker_status

    try:
        return await waker_status(host)
    except EzError as error:
        return error


def with_told(statuses: Iterable[AppStatus], answers: Mapping[str, WakerStatus | EzError]) -> tuple[AppStatus, ...]:
    """The states of apps, with what their wakers say of those that sleep."""
    return tuple(_with(app, answers.get(app.server)) for app in statuses)


def _with(app: AppStatus, answer: WakerStatus | EzError | None) -> AppStatus:
    if app.on_demand is None or answer is None or app.state in ("unknown", "missing"):
        return app
    if isinstance(answer, EzError):
        return _untold(app, answer.what)
    group = answer["apps"].get(app.on_demand.group)
    if group is None:
        return _untold(app, "the waker does not know of it")
    return _with_group(app, group)


def _untold(app: AppStatus, why: str) -> AppStatus:
    """An app of which the waker tells nothing. That it wakes for whoever comes cannot be said then."""
    seen = "stopped" if app.state == "asleep" else app.evidence
    return replace(app, evidence=f"{seen}; {why}")


def _with_group(app: AppStatus, group: GroupStatus) -> AppStatus:
    from ez_homelab.observe.states import Wakes

    assert app.on_demand is not None  # noqa: S101 - the caller has looked
    known = replace(
        app.on_demand, since=group["since"], scheduled=group["scheduled"], trouble=group["trouble"],
        failures=group["failures"], wakes=Wakes(**group["wakes"]),
    )  # fmt: skip
    app = replace(app, on_demand=known)
    if app.state == "asleep" and group["state"] == "failed":
        return replace(app, state="failed", evidence=f"does not start: {group['reason']}")
    if app.state == "asleep" and group["state"] == "waking":
        return replace(app, state="starting", evidence="it is being woken")
    if app.state == "starting" and group["state"] == "awake":
        # Docker looks for the first time when an interval has passed; the waker has asked the app itself.
        return replace(app, state="running", evidence="it was woken and answers")
    more = [*(["it is being changed"] if group["state"] == "held" else []), *([known.trouble] if known.trouble else [])]
    return replace(app, evidence="; ".join([app.evidence, *more]))


async def move(lab: Homelab, verb: Verb, names: Iterable[str]) -> tuple[Moved, ...]:
    """Wake these apps or put them to sleep, all at the same time, each with its group, whose name does as well.

    Raises `UsageError` before anything is done for a name that is nothing which sleeps; afterwards the error of the one
    that has not done so, or `OnDemandError` where there were several to move.
    """
    places = {app: place for name in dict.fromkeys(names) for app, place in _places(lab, name).items()}
    groups = {(server.name, group.name): (server, group) for server, group in places.values()}
    ended = await asyncio.gather(*(_move(lab, verb, *place) for place in groups.values()))
    errors = [one for one in ended if isinstance(one, EzError)]
    if errors and len(groups) == 1:
        raise errors[0]
    seconds = {key: one for key, one in zip(groups, ended, strict=True) if isinstance(one, float)}
    state: Literal["awake", "asleep"] = "awake" if verb == "wake" else "asleep"
    done = tuple(
        Moved(name, group.name, server.name, state, seconds[server.name, group.name])
        for name, (server, group) in places.items()
        if (server.name, group.name) in seconds
    )
    if errors:
        raise OnDemandError(errors, len(groups), done)
    return done


def _places(lab: Homelab, name: str) -> dict[str, tuple[DesiredServer, WakeGroup]]:
    """The app of that name, or else all apps of what sleeps by that name, with where each sleeps."""
    groups = [(server, group) for server in lab.desired.servers.values() for group in server.wake_groups]
    if own := [place for place in groups if name in place[1].apps]:
        return {name: own[0]}
    if named := [place for place in groups if name == place[1].name]:
        return {app: place for place in named for app in place[1].apps}
    raise _never_sleeps(lab, name)


def _never_sleeps(lab: Homelab, name: str) -> UsageError:
    app = next((instance.app for instance in lab.lab.instances if instance.name == name), None)
    if app is None:
        return UsageError(f"there is no app called {name} in the lab", fix=lab.did_you_mean(name))
    manifest = lab.catalog.app(app).manifest
    if manifest.lazy.suitable is False:
        return UsageError(f"{name} never sleeps", cause=manifest.lazy.reason or "its folder in the catalog says so")
    return UsageError(
        f"{name} never sleeps",
        cause="homelab.yaml does not let it",
        fix=f"say `lazy: stop` for {name} in homelab.yaml, then: ez-homelab apply",
    )


async def _move(lab: Homelab, verb: Verb, server: DesiredServer, group: WakeGroup) -> float | EzError:
    """The seconds that it took, or why it was not done."""
    from ez_homelab.plan.quiet import waker_of

    host = lab.hosts[server.name]
    began = time.monotonic()
    title = f"wake {group.name}" if verb == "wake" else f"put {group.name} to sleep"
    try:
        with lab.progress.step(title) as say:
            if waker_of(server):
                await _order(host, verb, group)
            else:
                await _by_hand(host, verb, server, group, say)
    except EzError as error:
        return error
    return round(time.monotonic() - began, 3)


async def _order(host: Host, verb: Verb, group: WakeGroup) -> None:
    from ez_homelab.waker_admin import AppInUseError, WakerError, order

    try:
        await order(host, verb, group.name, start=group.timeout)
    except AppInUseError:
        raise
    except WakerError as error:
        if verb == "sleep" or error.evidence or error.cause:
            raise
        # The waker says what ended; why it did stands in its own log.
        said = await _last_words(host, group)
        logs = ", ".join(f"ez-homelab logs {app}" for app in group.apps)
        raise WakerError(error.what, evidence=said, cause="its log says why" if said else "", fix=logs) from None


async def _last_words(host: Host, group: WakeGroup) -> str:
    """The last lines of each container that has said something."""
    from ez_homelab.hosts import Command

    lines = []
    for name in group.containers:
        logs = await host.run(Command(("docker", "logs", "--tail", str(LAST_LINES), name), changes=False))
        said = (logs.stdout + logs.stderr).strip() if logs.ok else ""
        lines += [f"{name}: {line}" for line in said.splitlines()]
    return "\n".join(lines)


async def _by_hand(host: Host, verb: Verb, server: DesiredServer, group: WakeGroup, say: Callable[[str], None]) -> None:
    """Where the engine takes no orders: containers are started in their order, or stopped in the opposite one."""
    from ez_homelab.apply.quiet import start
    from ez_homelab.hosts import Command, run_checked

    if verb == "wake":
        services = {service.name: service for service in server.services}
        for name in group.containers:
            await start(host, services[name], say)
        return
    for name in reversed(group.containers):
        say(f"stop {name}")
        order = Command(("docker", "container", "stop", name), timeout=150)
        await run_checked(host, order, what=f"cannot stop {name}", fix="ez-homelab status")
