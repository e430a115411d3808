"""Containers that a run had stopped when it was cut off: those do not look as if a person had stopped them.

A container that is made anew is stopped before it is removed, one that is restarted before it is started. A run that
is killed in between leaves it stopped. The journal tells what had been begun, and when.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ez_homelab.observe.docker import parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.observe.observed import ObservedContainer, ObservedServer

A_RUN = "a run that was cut off"


def with_cut_off(found: ObservedServer, begun: Mapping[str, str]) -> ObservedServer:
    """The look, in which containers are marked that a run had stopped; `begun` is what `journal.cut_off` returns."""
    times = _containers(found.name, begun)
    if not times:
        return found
    marked = (_marked(container, times.get(container.name)) for container in found.containers)
    return replace(found, containers=tuple(marked))


def _containers(server: str, begun: Mapping[str, str]) -> dict[str, datetime]:
    """When each container of the server was begun with."""
    beginning = f"{server}:service:"
    actions = {action: time for action, time in begun.items() if action.startswith(beginning)}
    return {action.rpartition("/")[2]: datetime.fromisoformat(time) for action, time in actions.items()}


def _marked(container: ObservedContainer, begun: datetime | None) -> ObservedContainer:
    """What was started since, or had ended before, is as a person left it."""
    started, finished = parse_time(container.started_at), parse_time(container.finished_at)
    if begun is None or container.state != "exited" or finished is None or finished < begun:
        return container
    return container if started and started > begun else replace(container, stopped_by=A_RUN)
