"""The people of a proof with Authelia: they come, sign in and go, also where something is refused on the way."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from authelia_in_memory import AutheliaInMemory
from https_server import Site, running

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
from ez_homelab.testing.make_lab import desired_of, make_lab
from ez_homelab.tls.authority import create_authority
from ez_homelab.verify import ProofPeople, _coming
from ez_homelab.verify.dial import Dialer, Reply, dialer
from ez_homelab.verify.guests import guests
from ez_homelab.verify.portal import Portal, totp_code
from ez_homelab.verify.sign_on import Visitors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from ez_homelab.config.model import SignOnEngine

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
    async with ProofPeople() as people:
        yield await people.on("core", guests(core, [], Portal(portal, "auth.lab.localhost"))), there, portal
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
    async with proof(refuses) as (made, there, portal):
        assert "refused" in str(made)
        assert there.users == PEOPLE
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


def test_a_sign_in_is_a_cookie_that_nothing_but_its_own_requests_carry(tmp_path: Path) -> None:
    """A true HTTPS server: the cookie is read, and the next request comes without it."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        came.append((request.headers["Host"], request.headers.get("Cookie", "")))
        body = request.rfile.read(int(request.headers["Content-Length"]))
        documents.append(json.loads(body))
        request.send_response(200)
        request.send_header("Set-Cookie", "authelia_session=abc; path=/; domain=lab.localhost; HttpOnly; secure")
        request.send_header("Content-Length", "15")
        request.end_headers()
        request.wfile.write(b'{"status":"OK"}')

    async def ask(site: Site, authority: bytes) -> list[str]:
        async with dialer("127.0.0.1", authority, site.ports) as dial:
            portal = Portal(dial, "auth.lab.localhost")
            cookie = await portal.sign_in("anna", Secret("hers"))
            return [cookie, await portal.second_factor(cookie, "123456"), await portal.sign_in("ben", Secret("his"))]

    came: list[tuple[str, str]] = []
    documents: list[Any] = []
    authority = create_authority("lab.localhost", datetime.now(UTC))
    with running(Site(posted=answer), tmp_path, authority) as site:
        cookies = asyncio.run(ask(site, authority.certificate_pem))
    assert cookies == ["authelia_session=abc"] * 3
    assert came == [
        ("auth.lab.localhost", ""), ("auth.lab.localhost", "authelia_session=abc"), ("auth.lab.localhost", ""),
    ]  # fmt: skip
    assert documents[1] == {"token": "123456"}


@pytest.mark.parametrize(("engine", "says"), [("authelia", "Authelia"), ("builtin", "the gate")])
async def test_the_people_come_from_the_engine_that_the_lab_has(engine: SignOnEngine, says: str) -> None:
    lab = make_lab(apps=0)
    desired = desired_of(replace(lab, sign_on=replace(lab.sign_on, engine=engine)))
    nobody_answers = FakeHost("core")
    async with ProofPeople() as people:
        coming = _coming(desired, nobody_answers, [], nullcontext(Dialer), "auth.lab.localhost")
        assert says in str(await people.on("core", coming))
