"""The people of a proof where Authelia asks: put into its list for the time of the proof, signed in at its portal.

Authelia has no way to make a session for somebody; so these have a password that nobody else ever sees, and two of
them one-time codes. They are taken out again afterwards. Whom a proof leaves that is cut off, the next proof or apply
takes out.
"""

from __future__ import annotations

import secrets
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ez_homelab import redaction
from ez_homelab.authelia_people import change_people, password_hash
from ez_homelab.authelia_storage import forget_totp, new_totp, totp_users
from ez_homelab.errors import EzError
from ez_homelab.secrets.value import Secret
from ez_homelab.sso.authelia.people import guest_name, is_stale, with_guests, without_guests
from ez_homelab.verify.portal import Portal, totp_code
from ez_homelab.verify.sign_on import Visitors, groups_and_factors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from ez_homelab.hosts import Host
    from ez_homelab.route import Route


@dataclass(frozen=True, slots=True)
class _Guest:
    """Somebody who exists for one proof."""

    user: str
    password: Secret
    groups: tuple[str, ...]
    factors: int


@asynccontextmanager
async def guests(host: Host, routes: Iterable[Route], portal: Portal) -> AsyncIterator[Visitors]:
    """The cookies of the proof's people. Raises `AutheliaError` where there can be none, and all have gone then."""
    known = [_guest(groups, factors) for groups, factors in groups_and_factors(routes)]
    cookies: list[str] = []
    try:
        await _come(host, known)
        # One after the other: the first that is refused is the last that tries, and three would lock the door.
        for guest in known:
            cookies.append(await _sign_in(host, portal, guest))  # noqa: PERF401 - those before are signed out
        yield Visitors(*cookies)
    finally:
        await _go(host, portal, known, cookies)


def _guest(groups: tuple[str, ...], factors: int) -> _Guest:
    password = Secret(secrets.token_urlsafe(32))
    redaction.know([password.reveal()])
    return _Guest(guest_name(time.time()), password, groups, factors)


async def _come(host: Host, known: Iterable[_Guest]) -> None:
    now = time.time()
    # Not from the list of people, out of which an apply may have taken them.
    left = [user for user in await totp_users(host) if is_stale(user, now)]
    await _forget_codes(host, left)
    there = {guest.user: (guest.groups, password_hash(guest.password)) for guest in known}
    await change_people(host, lambda existing: with_guests(without_guests(existing, (), now), there))


async def _sign_in(host: Host, portal: Portal, guest: _Guest) -> str:
    cookie = await portal.sign_in(guest.user, guest.password)
    redaction.know([cookie.partition("=")[2]])
    if guest.factors == 1:
        return cookie
    return await portal.second_factor(cookie, totp_code(await new_totp(host, guest.user)))


async def _go(host: Host, portal: Portal, known: Sequence[_Guest], cookies: Iterable[str]) -> None:
    # Each step is tried whatever became of the one before; what is left over goes at the next proof or apply.
    for cookie in cookies:
        with suppress(EzError):
            await portal.sign_out(cookie)
    users = [guest.user for guest in known]
    with suppress(EzError):
        await _forget_codes(host, [guest.user for guest in known if guest.factors > 1])
    with suppress(EzError):
        await change_people(host, lambda existing: without_guests(existing, users, time.time()))


async def _forget_codes(host: Host, users: Iterable[str]) -> None:
    for user in users:
        await forget_totp(host, user)
