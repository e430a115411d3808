"""Containers that Docker's engine stopped itself, as it started after a crash, and never started again.

An engine that was killed leaves its containers running. The next one ends them before it does anything else, marks
them as if a person had (moby, `killWithSignal`), and so `restart: unless-stopped` does not bring them back. Only the
time tells them apart: nobody can ask an engine for anything between its start, when it writes its process number down,
and the moment at which it has made its own network anew, which comes right after those stops. What sleeps may have
ended at any time, and means nothing by it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ez_homelab.hosts import Command
from ez_homelab.observe.docker import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ez_homelab.hosts import Host
    from ez_homelab.observe.observed import ObservedContainer, ObservedNetwork

ENGINE_NETWORK = "bridge"
"""The network that the engine makes anew at each of its starts."""

THE_ENGINE = "Docker's engine, as it started again after a crash"

ASK_START = Command(("stat", "--format", "%Y", "/run/docker.pid"), changes=False, timeout=20)
"""When the engine that runs was started: seconds since 1970."""


async def with_engine_stops(
    host: Host, containers: tuple[ObservedContainer, ...], networks: Iterable[ObservedNetwork]
) -> tuple[ObservedContainer, ...]:
    """The containers, those marked that the engine stopped. Where its start is not known, none is."""
    ready = next((parse_time(network.created) for network in networks if network.name == ENGINE_NETWORK), None)
    if ready is None or not any(_ended_by(container, ready) for container in containers):
        return containers
    told = (await host.run(ASK_START)).stdout.strip()
    started = datetime.fromtimestamp(int(told), UTC) if told.isdecimal() else ready
    return tuple(
        replace(one, stopped_by=THE_ENGINE) if _ended_by(one, ready) and not _ended_by(one, started) else one
        for one in containers
    )


def _ended_by(container: ObservedContainer, moment: datetime) -> bool:
    finished = parse_time(container.finished_at)
    ended = container.state == "exited" and not container.sleeps
    return ended and finished is not None and finished < moment
