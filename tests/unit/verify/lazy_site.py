"""Apps that sleep behind true HTTPS, their engine in memory: whoever gets past sign-on wakes one, but no monitor."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from https_server import Site, running

from ez_homelab.render.desired import WakeGroup
from ez_homelab.route import BypassPath, ContainerTarget, Expectation, Lazy, Route, SignOn
from ez_homelab.testing.fake_host import FakeHost
from ez_homelab.tls.authority import create_authority
from ez_homelab.verify.dial import dialer
from ez_homelab.verify.lazy import Front, LazyProof
from ez_homelab.verify.on_demand import LazyGroup, Seen
from ez_homelab.verify.sign_on import Visitors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from email.message import Message
    from pathlib import Path

    from https_server import Answered

    from ez_homelab.errors import EzError
    from ez_homelab.route import Clients, Policy
    from ez_homelab.verify.proof import Check
    from ez_homelab.verify.waking import Waking

AUTHORITY = create_authority("lab.localhost", datetime.now(UTC))
PORTAL = "auth.lab.localhost"
LOGIN = (302, f"https://{PORTAL}/?rd=x")
VISITORS = Visitors("ez_session=full", "ez_session=half", "ez_session=stranger")
PLENTY = b"MemTotal:       9000000 kB\nMemAvailable:    8000000 kB\n"
MEGABYTE = 1_000_000


class BrokenOffError(Exception):
    """Nothing that anybody expects."""


def sleeper(
    name: str, policy: Policy = "one_factor", *bypass: str, apps: tuple[str, ...] = (), clients: Clients = "hold"
) -> LazyGroup:
    """A group called `name` of an app of that name and further `apps`, of which those called `*-db` have no page."""
    sign_on = SignOn(policy, bypass=tuple(BypassPath(path, "for a test") for path in bypass))
    lazy = Lazy(name, 900.0, 5.0, clients=clients)
    routes = tuple(
        Route(
            *(app, app.capitalize(), f"{app}.lab.localhost", "core", "more", ContainerTarget(app, 80)),
            *(Expectation("/well", (200,)), sign_on, lazy),
        )
        for app in (name, *apps)
        if not app.endswith("-db")
    )
    return LazyGroup(WakeGroup(name, (name, *apps), (name, *apps), 5.0), routes, 100 * MEGABYTE)


@dataclass
class Engine:
    """The engine in memory, for one group for each name that is asked for; `orders` may be taken away.

    `events` is what was done, in turn. `refuses` has why an order is not done.
    `woken_after_a_look` are those that somebody else wakes then; `blind`: nobody can say what sleeps.
    """

    groups: dict[str, LazyGroup]
    awake: set[str] = field(default_factory=set)
    events: list[str] = field(default_factory=list)
    refuses: dict[str, EzError] = field(default_factory=dict)
    knows_monitors: bool = True
    orders: Engine | None = None
    woken_after_a_look: set[str] = field(default_factory=set)
    blind: bool = False
    most: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    async def look(self) -> Mapping[str, Seen]:
        if self.blind:
            return dict.fromkeys(self.groups, Seen(None, False, "nobody could say"))
        words = {True: "awake", False: "asleep"}
        seen = {name: Seen(name in self.awake, True, words[name in self.awake]) for name in self.groups}
        self.awake |= self.woken_after_a_look
        return seen

    def start(self, name: str, how: str) -> None:
        with self.changed:
            self.events.append(f"{how} {name}")
            self.awake.add(name)
            self.most = max(self.most, len(self.awake))
            self.changed.notify_all()

    async def until_awake(self, count: int) -> None:
        def wait() -> None:
            with self.changed:
                assert self.changed.wait_for(lambda: len(self.awake) >= count, 30.0)

        await asyncio.to_thread(wait)

    async def wake(self, group: LazyGroup) -> float:
        self._refuse("wake")
        self.start(group.name, "ordered")
        return 1.5

    async def sleep(self, group: LazyGroup) -> None:
        self.events.append(f"to sleep {group.name}")
        self._refuse("sleep")
        self.awake.discard(group.name)

    def routers(self, _routes: Iterable[Route]) -> Mapping[str, str]:
        return {}

    def _refuse(self, order: str) -> None:
        if order in self.refuses:
            raise self.refuses[order]


@dataclass
class Apps:
    """The site, its engine, and what an app answers once it is awake; `door_is_open` where sign-on asks nobody.

    `soon` has what the first answers are instead of the app's own. Nobody is answered by an app while `hold` is clear.
    """

    engine: Engine
    answer: Answered = 200
    door_is_open: bool = False
    soon: list[Answered] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)

    def guard(self, host: str, path: str, headers: Message) -> Answered:
        group = next(group for group in self.engine.groups.values() if any(r.host == host for r in group.routes))
        if not self.door_is_open and (refusal := _door(group.routes[0].sign_on, path, headers)):
            return refusal
        if group.name in self.engine.awake:
            return self.soon.pop(0) if self.soon else self.answer
        if self.engine.knows_monitors and headers["User-Agent"].startswith("Uptime-Kuma/"):
            return 200
        self.engine.start(group.name, "asked")
        self.hold.wait(30.0)
        if headers["Accept"] != "*/*":
            return 503
        return self.soon.pop(0) if self.soon else self.answer


def _door(sign_on: SignOn, path: str, headers: Message) -> Answered | None:
    if sign_on.policy == "bypass" or path in [bypass.path for bypass in sign_on.bypass]:
        return None
    if sign_on.policy == "deny":
        return 403
    half = LOGIN if sign_on.policy == "two_factor" else None
    return {None: LOGIN, VISITORS.full: None, VISITORS.half: half}.get(headers["Cookie"], 403)


def made(*groups: LazyGroup) -> Apps:
    """These groups, all asleep."""
    engine = Engine({group.name: group for group in groups})
    engine.orders = engine
    apps = Apps(engine)
    apps.hold.set()
    return apps


@asynccontextmanager
async def proving(
    folder: Path, apps: Apps, waking: Waking, visitors: Visitors | str = VISITORS, memory: bytes = PLENTY
) -> AsyncIterator[LazyProof]:
    """A proof of all the groups."""
    host, groups = FakeHost("core", files={"/proc/meminfo": memory}), [*apps.engine.groups.values()]
    with running(Site(guard=apps.guard), folder, AUTHORITY) as site:
        async with dialer("127.0.0.1", AUTHORITY.certificate_pem, site.ports) as dial:
            yield LazyProof(host, groups, apps.engine, Front(dial, "127.0.0.1", PORTAL, visitors), waking)


async def proven(
    folder: Path, apps: Apps, waking: Waking, visitors: Visitors | str = VISITORS, memory: bytes = PLENTY
) -> list[Check]:
    """What the proof finds."""
    async with proving(folder, apps, waking, visitors, memory) as proof:
        return await proof.rows()
