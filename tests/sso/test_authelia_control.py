"""What the tool does to a running Authelia, done to a real one: the people of a proof, passwords, second factors.

The server is this machine, Traefik is the product's; `EZ_TEST_AUTHELIA` names the executable.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from authelia_server import server_of
from sso_lab import AUTHELIA, lab, start

from ez_homelab.authelia_people import AutheliaError, read_people, set_password, tell_people
from ez_homelab.authelia_storage import forget_passkeys, forget_totp, new_totp, passkeys, totp_users
from ez_homelab.config.people import PROOF_PREFIX
from ez_homelab.doctor import Subject, examine
from ez_homelab.doctor.checks.second_factor import SecondFactor
from ez_homelab.lab.accounts import FirstPassword, Link
from ez_homelab.lab.authelia_users import AutheliaUsers
from ez_homelab.secrets.value import Secret
from ez_homelab.sso.authelia.people import guests_of, with_guests, with_password
from ez_homelab.testing.front.authelia import Authelia
from ez_homelab.testing.front.described import people_of, routes_of
from ez_homelab.verify.dial import dialer
from ez_homelab.verify.guests import guests
from ez_homelab.verify.portal import Portal, totp_code
from ez_homelab.verify.sign_on import Visitors, prove_sign_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from ez_homelab.testing.fake_host import FakeHost
    from ez_homelab.testing.front import Front
    from ez_homelab.verify.dial import Dialer


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    program = os.environ.get(AUTHELIA)
    if not program:
        pytest.skip(f"{AUTHELIA} names no executable")
    described = lab()
    # A proof asks from the server itself, which is in the lab's own network.
    described["policy"]["lan"] = ["127.0.0.0/8"]
    with start(tmp_path_factory.mktemp("control"), Authelia(program), described) as front:
        yield front


@pytest.fixture
def server(running: Front) -> FakeHost:
    return server_of(running.folder, os.environ[AUTHELIA])


@pytest.fixture
async def dial(running: Front) -> AsyncIterator[Dialer]:
    ports = {"http": running.traefik.ports.web, "https": running.traefik.ports.websecure}
    async with dialer("127.0.0.1", running.traefik.trust.encode(), ports) as made:
        yield made


@pytest.fixture
def portal(running: Front, dial: Dialer) -> Portal:
    return Portal(dial, running.portal_host)


async def test_every_row_of_the_proof_holds_and_nobody_is_left(server: FakeHost, dial: Dialer, portal: Portal) -> None:
    routes = routes_of(lab()["policy"])
    async with guests(server, routes, portal) as visitors:
        assert isinstance(visitors, Visitors), visitors
        assert len(guests_of(await read_people(server))) == 3
        assert len([user for user in await totp_users(server) if user.startswith(PROOF_PREFIX)]) == 2
        rows = [row for route in routes for row in await prove_sign_on(route, dial, portal.host, visitors)]
    assert [row for row in rows if row.state != "passed"] == []
    assert len(rows) > 40
    assert not guests_of(await read_people(server))
    assert not [user for user in await totp_users(server) if user.startswith(PROOF_PREFIX)]
    # The sessions of then open nothing any more.
    for cookie in (visitors.full, visitors.half, visitors.stranger):
        answer = await dial.get("https://one.lab.localhost/", headers={"Cookie": cookie})
        assert answer.status == 302


async def test_whom_a_proof_left_that_was_cut_off_the_next_one_takes_out(server: FakeHost, portal: Portal) -> None:
    from ez_homelab.authelia_people import change_people

    left = {"verify-00000abc": (("admins",), "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$c29tZWhhc2g")}
    await change_people(server, lambda now: with_guests(now, left))
    await new_totp(server, "verify-00000abc")
    async with guests(server, [], portal) as visitors:
        assert isinstance(visitors, Visitors), visitors
        assert "verify-00000abc" not in guests_of(await read_people(server))
    assert "verify-00000abc" not in await totp_users(server)


async def test_a_password_that_is_given_counts_at_once_and_the_one_before_no_longer(
    server: FakeHost, portal: Portal
) -> None:
    people = people_of(lab()["people"])
    await set_password(server, people, "carol", Secret("a-new-one-for-carol"))
    assert (await portal.sign_in("carol", Secret("a-new-one-for-carol"))).startswith("authelia_session=")
    with pytest.raises(AutheliaError, match="refused"):
        await portal.sign_in("carol", Secret("correct-horse-battery-3"))


async def test_one_change_right_after_another_is_read_too(server: FakeHost, portal: Portal) -> None:
    """Authelia overlooks a change within half a second of another."""
    people = people_of(lab()["people"])
    for number in range(3):
        await set_password(server, people, "dora", Secret(f"number-{number}-of-dora"))
    await portal.sign_in("dora", Secret("number-2-of-dora"))


async def test_second_factors_are_told_and_taken_away(server: FakeHost, portal: Portal) -> None:
    secret = await new_totp(server, "ben")
    assert "ben" in await totp_users(server)
    cookie = await portal.sign_in("ben", Secret("correct-horse-battery-2"))
    await portal.second_factor(cookie, totp_code(secret))
    await forget_totp(server, "ben")
    await forget_passkeys(server, "ben")
    assert "ben" not in await totp_users(server)
    assert await passkeys(server) == {}
    # Whoever has none is no error.
    await forget_totp(server, "ben")


async def test_the_doctor_tells_which_admins_have_no_second_factor(server: FakeHost) -> None:
    subject = Subject(engine="authelia", sign_on="authelia", admins=("anna", "dora"))
    await new_totp(server, "anna")
    (found,) = await examine(server, subject, (SecondFactor(),))
    assert (found.code, found.evidence) == ("admin-without-second-factor", "dora: no one-time codes and no passkey")
    await forget_totp(server, "anna")
    assert [finding.what for finding in await examine(server, subject, (SecondFactor(),))] == [
        "the admin anna signs in with a password alone",
        "the admin dora signs in with a password alone",
    ]


async def test_whoever_is_told_of_last_has_no_password_yet(server: FakeHost) -> None:
    people = people_of(lab()["people"])
    await tell_people(server, {**people, "zoe": people["anna"]})
    listed = await read_people(server)
    assert "zoe" in yaml.safe_load(listed)["users"]
    assert "zoe" not in with_password(listed)
    assert "anna" in with_password(listed)


async def test_no_secret_stands_in_an_argument(server: FakeHost, portal: Portal) -> None:
    secret = await new_totp(server, "ben")
    await set_password(server, people_of(lab()["people"]), "ben", Secret("never-in-an-argument"))
    arguments = " ".join(word for command in server.commands for word in command.argv)
    assert "never-in-an-argument" not in arguments
    assert "$argon2id$" not in arguments
    assert secret.reveal() not in arguments


@pytest.fixture
def users(server: FakeHost, portal: Portal, monkeypatch: pytest.MonkeyPatch) -> AutheliaUsers:
    @asynccontextmanager
    async def reached(_: AutheliaUsers) -> AsyncIterator[Portal]:
        yield portal

    monkeypatch.setattr(AutheliaUsers, "_portal", reached)
    monkeypatch.setattr("ez_homelab.lab.authelia_users.noted", lambda *_: nullcontext())
    made = SimpleNamespace(sign_on=SimpleNamespace(smtp=None))
    return AutheliaUsers(SimpleNamespace(core=server, lab=made, people=people_of(lab()["people"])))  # type: ignore[arg-type]


async def test_a_link_for_a_new_password_works(users: AutheliaUsers, portal: Portal) -> None:
    link = await users.invite("ben", users.lab.people["ben"])
    assert isinstance(link, Link)
    before = await portal.dialer.get(link.url.reveal())
    assert before.status == 200
    token = parse_qs(urlsplit(link.url.reveal()).query)["token"][0]
    opened = await portal.dialer.post(f"https://{portal.host}/api/reset-password/identity/finish", {"token": token})
    assert (opened.status, "OK" in opened.text) == (200, True)
    cookie = f"authelia_session={opened.cookies['authelia_session']}"
    changed = await portal.dialer.post(
        f"https://{portal.host}/api/reset-password",
        {"password": "ben-chose-Quite-4-long-one"},
        headers={"Cookie": cookie},
    )
    assert changed.status == 200, changed.text
    await portal.sign_in("ben", Secret("ben-chose-Quite-4-long-one"))
    accounts = await users.accounts()
    assert (accounts["ben"].password, accounts["eve"].password) == (True, False)


async def test_whoever_has_no_address_is_given_a_password(users: AutheliaUsers, portal: Portal) -> None:
    way = await users.invite("carol", replace(users.lab.people["carol"], email=""))
    assert isinstance(way, FirstPassword)
    await portal.sign_in("carol", way.password)


async def test_whoever_is_disabled_gets_nowhere_with_an_old_session(
    server: FakeHost, portal: Portal, dial: Dialer
) -> None:
    people = people_of(lab()["people"])
    await set_password(server, people, "anna", Secret("as-long-as-it-lasts"))
    cookies = [await portal.sign_in("anna", Secret("as-long-as-it-lasts")) for _ in range(2)]

    async def status(cookie: str) -> int:
        return (await dial.get("https://one.lab.localhost/", headers={"Cookie": cookie})).status

    assert [await status(cookie) for cookie in cookies] == [200, 200]
    await tell_people(server, {**people, "anna": replace(people["anna"], disabled=True)})
    assert await status(cookies[0]) == 302
    await tell_people(server, people)
    # The one that nobody showed in between is good again: so nobody's sessions can be ended by disabling them.
    assert [await status(cookie) for cookie in cookies] == [302, 200]
