"""The people of a proof with Authelia: they come, sign in and go, also where something is refused on the way."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from authelia_in_memory import AutheliaInMemory

from ez_homelab.config.people import Person
from ez_homelab.secrets.value import Secret
from ez_homelab.sso.authelia.people import (
    guest_name,
    guests_of,
    is_stale,
    merge_users,
    with_guests,
    without_guests,
)
from ez_homelab.testing.fake_host import FakeHost
from ez_homelab.verify.dial import Reply
from ez_homelab.verify.guests import guests
from ez_homelab.verify.portal import Portal, totp_code
from ez_homelab.verify.sign_on import Visitors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

PEOPLE = merge_users(None, {"anna": Person("Anna", groups=("admins",))}, {})


@dataclass
class PortalInMemory:
    """Takes the place of the dialer: signs in whoever is in the list, until it is told to refuse."""

    there: AutheliaInMemory
    refuses: str = ""
    asked: list[str] = field(default_factory=list)

    async def post(self, url: str, document: Any, *, headers: Mapping[str, str]) -> Reply:
        path = url.partition("/api/")[2]
        self.asked.append(path)
        if (
            path == self.refuses
            or (path != "firstfactor" and "Cookie" not in headers)
            or (path == "firstfactor" and document["username"] not in guests_of(self.there.users))
        ):
            return Reply(401, '{"status":"KO","message":"Authentication failed."}')
        cookies = {"authelia_session": f"of-{document['username']}"} if path == "firstfactor" else {}
        return Reply(200, '{"status":"OK"}', cookies)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ez_homelab.authelia_people.LOOKS", (0.0,))
    monkeypatch.setattr("ez_homelab.authelia_people.COOLDOWN", 0.0)


@asynccontextmanager
async def proof(refuses: str = "") -> AsyncIterator[tuple[Visitors | str, AutheliaInMemory, PortalInMemory]]:
    core = FakeHost("core")
    there = AutheliaInMemory(core, PEOPLE)
    portal = PortalInMemory(there, refuses)
    async with guests(core, [], Portal(portal, "auth.lab.localhost")) as made:
        yield made, there, portal
    assert there.users == PEOPLE
    assert there.totp == set()


async def test_three_come_and_all_of_them_go() -> None:
    async with proof() as (made, there, portal):
        assert isinstance(made, Visitors)
        assert len({made.full, made.half, made.stranger}) == 3
        assert len(guests_of(there.users)) == 3
        assert len(there.totp) == 2
    assert portal.asked.count("secondfactor/totp") == 2
    assert portal.asked.count("logout") == 3


@pytest.mark.parametrize(("refuses", "tried"), [("firstfactor", 1), ("secondfactor/totp", 1)])
async def test_where_one_is_refused_no_other_tries_and_all_go(refuses: str, tried: int) -> None:
    """Three refused sign-ins would make the address wait, and with it the people who use it."""
    async with proof(refuses) as (made, _, portal):
        assert "refused" in str(made)
    assert portal.asked.count("firstfactor") == tried


async def test_whoever_breaks_off_leaves_nobody() -> None:
    with pytest.raises(KeyboardInterrupt):
        async with proof():
            raise KeyboardInterrupt


def test_people_of_a_proof_are_told_from_those_that_one_left() -> None:
    now = 1_790_000_000.0
    user = guest_name(now)
    assert len(user) == len("verify-") + 8
    assert [is_stale(user, now + minutes * 60) for minutes in (0, 4, 7, 60 * 24)] == [False, False, True, True]
    assert is_stale("verify-by-hand", now)
    assert not is_stale("anna", now)
    listed = with_guests(PEOPLE, {user: (("admins",), "x"), "verify-00000abc": ((), "x")})
    assert guests_of(without_guests(listed, (), now)) == {user}
    assert without_guests(listed, (user,), now) == PEOPLE
    assert without_guests(PEOPLE, (), now) == PEOPLE


def test_codes_are_those_of_authenticator_apps() -> None:
    # RFC 6238, appendix B, of which apps show the last six digits.
    secret = Secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    assert [totp_code(secret, at) for at in (59, 1111111109, 20000000000)] == ["287082", "081804", "353130"]
