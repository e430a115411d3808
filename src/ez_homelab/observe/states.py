"""The states of an app, in the words that every face uses."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Literal

from ez_homelab.observe.observed import Unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ez_homelab.observe.observed import ObservedContainer, ObservedServer
    from ez_homelab.render.desired import Desired, DesiredService

State = Literal["running", "starting", "asleep", "held", "failed", "missing", "unknown"]

# Worst first: an app of several containers is as well as its worst one, and asleep only where all of them are.
_WORST = ("unknown", "failed", "missing", "held", "starting", "running", "asleep")

ASLEEP = "asleep: wakes when somebody opens it"


@dataclass(frozen=True, slots=True)
class Wakes:
    """How often something was woken, and the seconds that half and 95 % of the last hundred took; None: not known."""

    count: int
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class OnDemand:
    """How an app sleeps: what it sleeps and wakes with, and the bytes that its containers take at rest.

    What the waker tells of its group is None, or empty, where that does not answer, or another engine wakes it: for how
    many seconds it has been as it is, whether these are hours in which it is kept awake, what hinders it, how many
    starts have failed since the last that did not.
    """

    group: str
    memory: int
    since: float | None = None
    scheduled: bool | None = None
    trouble: str = ""
    failures: int | None = None
    wakes: Wakes | None = None


@dataclass(frozen=True, slots=True)
class AppStatus:
    """One app of the lab: its state, the evidence for it, and where it answers (empty: it has no page).

    `on_demand` is None for what never sleeps.
    """

    name: str
    server: str
    stack: str
    state: State
    evidence: str
    address: str
    on_demand: OnDemand | None = None


def memory_saved(statuses: Iterable[AppStatus]) -> int:
    """The bytes that what sleeps now would take."""
    return sum(app.on_demand.memory for app in statuses if app.on_demand and app.state == "asleep")


def app_statuses(desired: Desired, observed: Mapping[str, ObservedServer | Unknown]) -> tuple[AppStatus, ...]:
    """Every app of the lab in the order of the lab file."""
    addresses = {route.name: route.address for route in desired.routes}
    return tuple(_statuses(desired, observed, addresses))


def _statuses(
    desired: Desired, observed: Mapping[str, ObservedServer | Unknown], addresses: Mapping[str, str]
) -> Iterator[AppStatus]:
    for server in desired.servers.values():
        pairs = [zip(group.containers, group.memory, strict=False) for group in server.wake_groups]
        memory = dict(chain.from_iterable(pairs))
        apps: dict[str, list[DesiredService]] = {}
        for service in server.services:
            apps.setdefault(service.app, []).append(service)
        for app, services in apps.items():
            judged = [service_state(service, observed[server.name]) for service in services]
            state, evidence = min(judged, key=lambda item: _WORST.index(item[0]))
            address = addresses.get(app, "")
            yield AppStatus(app, server.name, services[0].stack, state, evidence, address, _on_demand(services, memory))


def _on_demand(services: Iterable[DesiredService], memory: Mapping[str, int]) -> OnDemand | None:
    sleepers = [service for service in services if service.wake_group]
    if not sleepers:
        return None
    return OnDemand(sleepers[0].wake_group, sum(memory.get(service.name, 0) for service in sleepers))


def service_state(service: DesiredService, found: ObservedServer | Unknown) -> tuple[State, str]:
    """One container's state and the evidence for it."""
    if isinstance(found, Unknown):
        return "unknown", found.reason
    container = found.container(service.name)
    if container is None:
        return "missing", "no container"
    return state_of(service, container)


def is_asleep(service: DesiredService, container: ObservedContainer) -> bool:
    """Whether it is one that sleeps, and does. Why it ended is of no account: whoever comes has it started anew."""
    return bool(service.wake_group) and container.state in ("created", "exited")


def held(service: DesiredService, container: ObservedContainer) -> str:
    """How a person stopped the service's container; empty where nobody did. What sleeps can only be paused.

    So can what sleeps no longer, until it is made anew; its own definition tells that it never did.
    """
    slept = container.sleeps and container.fingerprint != service.fingerprint
    return "" if (service.wake_group or slept) and container.state != "paused" else container.held


def state_of(service: DesiredService, container: ObservedContainer) -> tuple[State, str]:
    """What Docker says of the service's container, in our words."""
    if is_asleep(service, container):
        return "asleep", ASLEEP
    return container_state(container, held(service, container))


def container_state(container: ObservedContainer, by: str) -> tuple[State, str]:
    """What Docker says of a container that is to run, in our words; `by`: how a person stopped it, empty for not."""
    if by:
        return "held", by
    if container.crashes:
        ended = f", exit status {container.exit_code}" if container.exit_code else ""
        return "failed", f"crashes at its start{ended}"
    match container.state, container.health:
        case "running", "unhealthy":
            return "failed", "its health check fails"
        case "running", "starting":
            return "starting", "its health check has not passed yet"
        case "running", "healthy":
            return "running", "healthy"
        case "running", _:
            return "running", "no health check"
    if container.stopped_by:
        return "failed", f"stopped by {container.stopped_by}"
    return "failed", container.error or f"{container.state}, exit status {container.exit_code}"
