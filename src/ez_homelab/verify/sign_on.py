"""The proof of sign-on for one route: who is let in, who is not, and that nobody gets round it.

The signed-in rows use identities that are made for this run and forgotten after it (`Visitors`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ez_homelab.verify.proof import Check, failed, judged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Iterator, Mapping

    from ez_homelab.route import Route
    from ez_homelab.verify.dial import Answer, Dialer

FORGED = dict.fromkeys(("Remote-User", "Remote-Groups", "Remote-Email", "Remote-Name"), "admins")
"""What an app would take for a signed-in person, said by somebody who is not."""


@dataclass(frozen=True, slots=True)
class Visitors:
    """The cookies of three people who exist for this run alone.

    `full` is in every group and has shown two factors, `half` has shown one, `stranger` two but is in no group.
    """

    full: str
    half: str
    stranger: str


def groups_and_factors(routes: Iterable[Route]) -> tuple[tuple[tuple[str, ...], int], ...]:
    """The groups of each of the three and how many factors they show, in the order of the fields of `Visitors`."""
    every = tuple(sorted({group for route in routes for group in route.sign_on.groups}))
    return (every, 2), (every, 1), ((), 2)


async def prove_sign_on(
    route: Route, dialer: Dialer, portal: str, visitors: Visitors | str, *, asleep: bool = False
) -> list[Check]:
    """Every claim about who the route lets in; `visitors` is text where there are none, and says why.

    `asleep` leaves out what the app itself has to answer; what is let through then is asked as `dialer` does.
    """
    door = _Door(route, dialer, portal)
    if route.sign_on.policy == "bypass":
        return [] if asleep else [*await asyncio.gather(door.answers(), door.forged("forged names change nothing"))]
    anonymous = [door.closed(), door.forged("forged names are no sign-on"), *door.bypasses()]
    if isinstance(visitors, str):
        return [*await asyncio.gather(*anonymous), failed(route.name, "signed-in gets the app", visitors)]
    return [*await asyncio.gather(*anonymous, *door.visits(visitors, asleep=asleep))]


@dataclass(frozen=True, slots=True)
class _Door:
    """One route as people come to it."""

    route: Route
    dialer: Dialer
    portal: str

    async def answers(self) -> Check:
        """An app that is open to everybody answers as it should."""
        answer = await self._ask(self.route.expectation.path)
        return self._expected("answer over HTTPS", answer)

    async def closed(self) -> Check:
        """Whoever is not signed in is led to the portal, or refused where nobody may come in."""
        answer = await self._ask("/")
        return self._judge("anonymous is not let in", self._is_shut(answer), answer)

    async def forged(self, claim: str) -> Check:
        """What somebody says about himself in headers changes nothing."""
        plain, forged = await asyncio.gather(self._ask("/"), self._ask("/", headers=FORGED))
        same = (plain.status, plain.location) == (forged.status, forged.location)
        return self._judge(claim, same and bool(forged.status), forged)

    def visits(self, visitors: Visitors, *, asleep: bool) -> Iterator[Awaitable[Check]]:
        """The rows of the people who are signed in."""
        sign_on = self.route.sign_on
        if sign_on.policy == "deny":
            yield self._refused("nobody is let in", visitors.full)
            return
        if not asleep:
            yield self._let_in(visitors.full)
        if sign_on.groups:
            yield self._refused(f"only {', '.join(sign_on.groups)} get in", visitors.stranger)
        if sign_on.policy == "two_factor":
            yield self._half(visitors.half)

    def bypasses(self) -> Iterator[Awaitable[Check]]:
        """Each declared path is open, and what only looks like it is not."""
        for bypass in self.route.sign_on.bypass:
            yield self._open(bypass.path)
            for near in near_misses(bypass.path):
                yield self._shut(bypass.path, near)

    async def _let_in(self, cookie: str) -> Check:
        answer = await self._ask(self.route.expectation.path, headers={"Cookie": cookie})
        return self._expected("signed-in gets the app", answer)

    async def _refused(self, claim: str, cookie: str) -> Check:
        answer = await self._ask(self.route.expectation.path, headers={"Cookie": cookie})
        return self._judge(claim, answer.status == 403, answer)

    async def _half(self, cookie: str) -> Check:
        answer = await self._ask("/", headers={"Cookie": cookie})
        return self._judge("asks for a second factor", self._is_shut(answer), answer)

    async def _open(self, path: str) -> Check:
        answer = await self._ask(path)
        return self._judge(f"{path} is open", bool(answer.status) and not self._is_shut(answer), answer)

    async def _shut(self, path: str, near: str) -> Check:
        answer = await self._ask(near)
        return self._judge(f"near {path} is shut", self._is_shut(answer), answer, f" at {near}")

    async def _ask(self, target: str, headers: Mapping[str, str] | None = None) -> Answer:
        return await self.dialer.get(f"https://{self.route.host}/", headers=headers or {}, target=target)

    def _is_shut(self, answer: Answer) -> bool:
        # 400: the reverse proxy itself refuses some spellings before anybody is asked.
        return self._leads_to_portal(answer) or answer.status in (400, 401, 403)

    def _leads_to_portal(self, answer: Answer) -> bool:
        return answer.status in (302, 303) and urlsplit(answer.location).hostname == self.portal

    def _expected(self, claim: str, answer: Answer) -> Check:
        path, statuses = self.route.expectation.path, self.route.expectation.statuses
        holds = answer.status in statuses
        instead = "" if holds else f", expected {' or '.join(map(str, statuses))}"
        return self._judge(claim, holds, answer, f" at {path}{instead}")

    def _judge(self, claim: str, holds: bool, answer: Answer, where: str = "") -> Check:
        return judged(self.route.name, claim, holds, f"{answer}{where}")


def near_misses(path: str) -> Iterator[str]:
    """Spellings that some server might take for the path, and that the reverse proxy does not tidy into it."""
    last = path.rstrip("/")
    yield f"{last}/../near-miss"
    yield f"{last}%2e"
    yield f"{last}%2fx"
    yield f"{last};x"
    yield f"{last}x"
    if path.upper() != path:
        yield path.upper()
