"""What the waker is asked and told by whoever is root on its server: through `docker exec` and a socket inside its
container. There is no way to it over a network.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from ez_homelab.config.rules import WAKER
from ez_homelab.errors import EzError
from ez_homelab.hosts import Command

if TYPE_CHECKING:
    from ez_homelab.hosts import Completed, Host

ASK_WAKER = ("docker", "exec", "-i", WAKER, "python3", "-m", "waker.admin")
"""The command that asks it: the order follows as words, the answer is on standard output."""

LONGEST_HOLD = 3600
"""Seconds; the waker refuses to hold an app for longer at a time."""

ASKED_AGAIN = (0.5, 10.0)
"""Seconds between two tries, and after which no other is made: lazy.json may be newer than the waker's last look at
it, and a waker that has just been made does not listen yet."""
_STATUS_SECONDS = 30.0
_ORDER_SECONDS = 620.0
"""On top of what a start may take: the app may have to fall asleep first, and to wait for others that start."""
_PASSING = frozenset({"absent", "silent", "unknown"})

Verb = Literal["wake", "sleep", "hold", "release"]


class WakerError(EzError):
    """The waker could not be asked, or has not done what it was told."""

    code = "waker"


class AppInUseError(WakerError):
    """An app stays awake because somebody uses it, or because these are its hours."""

    code = "app-in-use"


class GroupWakes(TypedDict):
    """How often a group was woken, and seconds that it took, by the last hundred; None where there was none."""

    count: int
    p50: float | None
    p95: float | None


class GroupStatus(TypedDict):
    """One wake group; times in seconds, memory in bytes.

    `state`: asleep, waking, awake, falling_asleep, failed or held. `unused`: since when nobody has used it, None unless
    it is awake. `held`: what is left of a hold, None where there is none. `leads_to`: app, waker or unknown.
    """

    title: str
    state: str
    since: float
    unused: float | None
    leads_to: str
    trouble: str
    reason: str
    retry_in: float | None
    held: float | None
    failures: int
    in_flight: int
    scheduled: bool
    wakes: GroupWakes
    memory: int


class WakerStatus(TypedDict):
    """All wake groups by name, and the bytes of memory that those which sleep would take."""

    apps: dict[str, GroupStatus]
    memory_saved: int


class Done(TypedDict, total=False):
    """What has become of an order: the wake group, its state now, and the seconds that a wake took or a hold lasts.

    `reason`: why it has not started, after a release.
    """

    app: str
    state: str
    seconds: float
    reason: str


async def waker_status(host: Host) -> WakerStatus:
    """Every app that may sleep on this server, as the waker sees it.

    Raises `WakerError` where there is no running waker; `UnreachableError` as the host does.
    """
    return cast("WakerStatus", await _asked(host, "status", seconds=_STATUS_SECONDS, passing=frozenset({"silent"})))


async def order(host: Host, verb: Verb, app: str, seconds: float | None = None, *, start: float = 0.0) -> Done:
    """Have the waker do something with a wake group; returns when it has. `hold` needs `seconds` (at most 3600).

    `start` is how long a start of the group may take, in seconds: the waker answers when that is over. An app that it
    does not know is asked for again for ten seconds. Raises `AppInUseError` where an app that is used stays awake,
    `WakerError` where the waker does not run or has not done it; `UnreachableError` as the host does.
    """
    words = (str(min(math.ceil(seconds), LONGEST_HOLD)),) if verb == "hold" and seconds is not None else ()
    return cast("Done", await _asked(host, verb, app, *words, seconds=start + _ORDER_SECONDS, passing=_PASSING))


async def _asked(host: Host, *words: str, seconds: float, passing: frozenset[str]) -> dict[str, Any]:
    pause, patience = ASKED_AGAIN
    deadline = time.monotonic() + patience
    while True:
        asking = Command((*ASK_WAKER, *words), timeout=seconds, changes=words[0] != "status")
        answer = _answer(await host.run(asking))
        if "error" not in answer:
            return answer
        if answer.get("kind") not in passing or time.monotonic() >= deadline:
            raise _refusal(answer)
        await asyncio.sleep(pause)


def _answer(completed: Completed) -> dict[str, Any]:
    try:
        return dict(json.loads(completed.stdout))
    except (ValueError, TypeError):
        return {
            "kind": "absent",
            "error": "the waker did not answer",
            "evidence": completed.last_line,
            "fix": "ez-homelab status, then ez-homelab logs waker",
        }


def _refusal(answer: dict[str, Any]) -> WakerError:
    kind, what, evidence, fix = (str(answer.get(name) or "") for name in ("kind", "error", "evidence", "fix"))
    causes = {
        "absent": "its container does not run",
        "silent": "it has just been started, or does not work",
        "unknown": "it is not among the apps that may sleep on this server",
        "in use": "a page of it is open somewhere, or something is being loaded",
        "hours": "homelab.yaml keeps it awake at this hour",
        "held": "another run is at work on it",
        "route": "Traefik does not answer, or the folder of its routes cannot be written or read",
    }
    error = AppInUseError if kind in ("in use", "hours") else WakerError
    return error(what, evidence=evidence, cause=causes.get(kind, ""), fix=fix or "ez-homelab logs waker")
