"""Containers that a run had stopped when it was cut off or failed: those do not look as if a person had stopped them.

A container that is made anew is stopped before it is removed, one that is restarted before it is started. A run that
is killed in between leaves it stopped, and so does one whose engine is. The journal tells what was begun, and when.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ez_homelab.observe.docker import parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ez_homelab.apply.journal import Attempt
    from ez_homelab.observe.observed import ObservedContainer, ObservedServer

CUT_OFF, FAILED = "a run that was cut off", "a run that failed"


def with_cut_off(found: ObservedServer, attempts: Mapping[str, Sequence[Attempt]]) -> ObservedServer:
    """The look, in which what a run had stopped is marked; `attempts` is what `journal.not_done` returns."""
    beginning = f"{found.name}:service:"
    tried = {action.rpartition("/")[2]: some for action, some in attempts.items() if action.startswith(beginning)}
    if not tried:
        return found
    marked = (_marked(container, tried.get(container.name, ())) for container in found.containers)
    return replace(found, containers=tuple(marked))


def _marked(container: ObservedContainer, attempts: Sequence[Attempt]) -> ObservedContainer:
    by = next((by for attempt in attempts if (by := _stopped_by(container, attempt))), "")
    return replace(container, stopped_by=by) if by else container


def _stopped_by(container: ObservedContainer, attempt: Attempt) -> str:
    """Empty where it was started since, or had ended before or after: it is as a person left it then."""
    begun, ended = datetime.fromisoformat(attempt.begun), parse_time(attempt.ended or "")
    started, finished = parse_time(container.started_at), parse_time(container.finished_at)
    if container.state != "exited" or finished is None or finished < begun or (started and started > begun):
        return ""
    if ended is None:
        return CUT_OFF
    return FAILED if finished <= ended else ""
