"""The proof of apps that may sleep: those that sleep are well, they wake, and then they are as every app should be.

Nobody who is not signed in wakes anything: sign-on answers first. Where a path is open, the proof asks as a monitor.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ez_homelab.errors import EzError
from ez_homelab.verify.proof import Check, failed, judged, passed
from ez_homelab.verify.routes import prove_route
from ez_homelab.verify.waking import Room, free_memory
from ez_homelab.waker_admin import AppInUseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ez_homelab.hosts import Host
    from ez_homelab.route import Route
    from ez_homelab.verify.dial import Answer, Dialer
    from ez_homelab.verify.on_demand import LazyGroup, OnDemand, Seen
    from ez_homelab.verify.sign_on import Visitors
    from ez_homelab.verify.waking import Waking

MONITOR = "Uptime-Kuma/2.0 (ez-homelab verify)"
"""The User-Agent of who only looks: one of those that have a router of their own (`lazy/monitors.py`)."""
PROGRAM = {"Accept": "*/*"}
"""What a program sends and no browser that opens an address: it is held, where that one gets the page."""
SPARE = 30.0
"""Seconds on top of a group's own timeout: its containers may have to wait for others that start."""
AGAIN = 1.0
"""Seconds between two requests of a program that is told to come again."""
NOT_WOKEN = "not woken: `ez-homelab verify --all` does"


@dataclass(frozen=True, slots=True)
class Front:
    """How a server is reached from outside, and by whom. `visitors` is text where there are none, and says why."""

    dialer: Dialer
    address: str
    portal: str
    visitors: Visitors | str

    async def ask(self, route: Route, path: str, cookie: str = "") -> Answer:
        """The answer to a program."""
        return await self.dialer.get(route.address, headers={"Cookie": cookie} if cookie else {}, target=path)

    async def prove(self, routes: Sequence[Route], *, asleep: bool = False) -> list[Check]:
        """The usual rows of all of them; `asleep` as `prove_sign_on` has it."""
        proofs = (
            prove_route(route, self.dialer, self.address, self.portal, self.visitors, asleep=asleep) for route in routes
        )
        return [check for rows in await asyncio.gather(*proofs) for check in rows]

    def patient(self, seconds: float) -> Front:
        """The same for a program that waits so long for an answer."""
        return replace(self, dialer=self.dialer.like(PROGRAM, seconds))

    def looking(self) -> Front:
        """The same for a monitor."""
        return replace(self, dialer=self.dialer.like(PROGRAM | {"User-Agent": MONITOR}))


@dataclass(frozen=True, slots=True)
class LazyProof:
    """The proof of one server's wake groups."""

    host: Host
    groups: Sequence[LazyGroup]
    engine: OnDemand
    front: Front
    waking: Waking

    async def rows(self) -> list[Check]:
        """Every claim about every group. Nothing stays awake that only the proof has woken, whatever happens."""
        if not self.groups:
            return []
        seen = await self.engine.look()
        looked_at = await self._monitors([group for group in self.groups if not seen[group.name].awake])
        room = Room(await free_memory(self.host), comes_back=self.engine.orders is not None)
        async with asyncio.TaskGroup() as tasks:
            proofs = [
                tasks.create_task(self._prove(group, seen[group.name], looked_at.get(group.name, []), room))
                for group in self.groups
            ]
        return [check for proof in proofs for check in proof.result()]

    async def _prove(self, group: LazyGroup, seen: Seen, monitors: list[Check], room: Room) -> list[Check]:
        if kept := self.waking.rows(self.host.name, group.name):
            return [*kept]
        if seen.awake is not False:
            return await self._prove_without_waking(group, seen)
        if not self.waking.wants(group.wakes):
            left = [*_each(group, "asleep", seen.well, f"{seen.evidence}; {NOT_WOKEN}"), *monitors]
            return [*left, *await self._as_it_sleeps(group)]
        async with room.for_(group.memory) as fits:
            rows = await (self._awake_for_a_while(group, monitors) if fits else self._no_room(group, monitors))
        self.waking.keep(self.host.name, group.name, rows)
        return rows

    async def _monitors(self, groups: Sequence[LazyGroup]) -> Mapping[str, list[Check]]:
        """That who only looks is answered and wakes nothing, where sign-on lets monitors through; by group."""
        asked = [(group, route, path) for group in groups for route in group.routes if (path := _open_path(route))]
        if not asked:
            return {}
        front = self.front.looking()
        answers = await asyncio.gather(*(front.ask(route, path) for _, route, path in asked))
        seen = await self.engine.look()
        found: dict[str, list[Check]] = {}
        for (group, route, path), answer in zip(asked, answers, strict=True):
            now = seen[group.name]
            row = judged(
                route.name, "monitors see it asleep", 200 <= answer.status < 300 and not now.awake,
                f"{answer} at {path}, and it is {now.evidence}",
            )  # fmt: skip
            found.setdefault(group.name, []).append(row)
        return found

    async def _awake_for_a_while(self, group: LazyGroup, monitors: list[Check]) -> list[Check]:
        # Its turn may have come late, and what somebody else has woken meanwhile is not ours to put to sleep.
        seen = (await self.engine.look())[group.name]
        if seen.awake is not False:
            return await self._prove_without_waking(group, seen)
        # What is not as it should be is told by the rows of its waking.
        rows = [*_each(group, "asleep", seen.well or None, seen.evidence), *monitors]
        try:
            wakes = await self._wake(group)
            well = all(row.state == "passed" for row in wakes)
            usual = await (self._patient(group).prove(group.routes) if well else self._as_it_sleeps(group))
        finally:
            left_awake = await self._put_to_sleep(group)
        return [*rows, *wakes, *usual, *left_awake]

    async def _prove_without_waking(self, group: LazyGroup, seen: Seen) -> list[Check]:
        if seen.awake:
            return [*_each(group, "awake", seen.well, seen.evidence), *await self._patient(group).prove(group.routes)]
        return [*_each(group, "asleep", False, seen.evidence), *await self._as_it_sleeps(group)]

    async def _no_room(self, group: LazyGroup, monitors: list[Check]) -> list[Check]:
        why = "what was woken before it stays awake, and no memory is left for it"
        return [*_each(group, "wakes", None, f"not woken: {why}"), *monitors, *await self._as_it_sleeps(group)]

    async def _wake(self, group: LazyGroup) -> list[Check]:
        for route in group.routes:
            cookie = _cookie_for(route, self.front.visitors)
            if cookie is not None:
                row = await self._wake_by_request(group, route, cookie)
                others = _each(group, "wakes", row.state == "passed", f"with {route.name}", but=route.name)
                return [row, *others]
        return await self._wake_by_order(group)

    async def _wake_by_request(self, group: LazyGroup, route: Route, cookie: str) -> Check:
        """As a program that is signed in: it is held, or comes again where it is told to."""
        path, statuses = route.expectation.path, route.expectation.statuses
        front, began = self._patient(group), time.monotonic()
        answer = await front.ask(route, path, cookie)
        while _comes_again(route, answer) and answer.at - began < group.wakes.timeout + SPARE:
            await asyncio.sleep(AGAIN)
            answer = await front.ask(route, path, cookie)
        evidence = f"first byte after {answer.at - began:.2f} s: {answer} at {path}"
        if answer.status in statuses:
            return passed(route.name, "wakes", evidence)
        seen = (await self.engine.look())[group.name]
        return failed(route.name, "wakes", f"{evidence}, expected {' or '.join(map(str, statuses))}; {seen.evidence}")

    async def _wake_by_order(self, group: LazyGroup) -> list[Check]:
        """Where no request of the proof's gets as far as the app."""
        if self.engine.orders is None:
            return [*_each(group, "wakes", None, "not woken: no request of the proof's is let through to it")]
        try:
            seconds = await self.engine.orders.wake(group)
        except EzError as error:
            return [*_each(group, "wakes", False, str(error))]
        return [*_each(group, "wakes", True, f"ready after {seconds:.2f} s, by order: no request is let through to it")]

    async def _put_to_sleep(self, group: LazyGroup) -> list[Check]:
        if self.engine.orders is None:
            return [*_each(group, "sleeps again", None, "it falls asleep by itself, once its idle time is over")]
        try:
            await self.engine.orders.sleep(group)
        except AppInUseError as error:
            return [*_each(group, "sleeps again", None, str(error))]
        except EzError as error:
            return [*_each(group, "sleeps again", False, str(error))]
        return []

    async def _as_it_sleeps(self, group: LazyGroup) -> list[Check]:
        """The rows for which no app has to answer. Whoever is let through is a monitor, even where nobody should be."""
        return await self.front.looking().prove(group.routes, asleep=True)

    def _patient(self, group: LazyGroup) -> Front:
        return self.front.patient(group.wakes.timeout + SPARE)


def _each(group: LazyGroup, claim: str, holds: bool | None, evidence: str, but: str = "") -> list[Check]:
    """The row for each app of the group but one; None for a note."""
    apps = [app for app in group.wakes.apps if app != but]
    if holds is None:
        return [Check(app, claim, "note", evidence) for app in apps]
    return [judged(app, claim, holds, evidence) for app in apps]


def _comes_again(route: Route, answer: Answer) -> bool:
    return route.lazy is not None and route.lazy.clients == "503" and answer.status == 503


def _open_path(route: Route) -> str:
    """A path that is answered to whoever comes; empty where there is none."""
    if route.sign_on.policy == "bypass":
        return route.expectation.path
    return route.sign_on.bypass[0].path if route.sign_on.bypass else ""


def _cookie_for(route: Route, visitors: Visitors | str) -> str | None:
    """The cookie with which the app is reached, empty where none is needed; None where it cannot be reached."""
    if route.sign_on.policy == "bypass":
        return ""
    if route.sign_on.policy == "deny" or isinstance(visitors, str):
        return None
    return visitors.full
