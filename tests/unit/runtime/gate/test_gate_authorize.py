"""The forward-auth answers, as Traefik gets them."""

from __future__ import annotations

import json
import logging
from email import message_from_string
from typing import TYPE_CHECKING

import pytest
from gate_world import HOME, PEOPLE, POLICY, Gate, write_whole

from ez_homelab.runtime.gate.authorize import PATH, Authorizer
from ez_homelab.runtime.gate.wire import Request

if TYPE_CHECKING:
    from email.message import Message

ASKED = {
    "x-forwarded-method": "GET",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "app.lab.localhost",
    "x-forwarded-uri": "/",
    "x-forwarded-for": HOME,
    "accept": "text/html",
}
REMOTE = ("Remote-User", "Remote-Groups", "Remote-Name", "Remote-Email")


def ask(gate: Gate, method: str = "GET", path: str = PATH, **fields: str) -> tuple[int, Message]:
    """Status and fields of the answer."""
    sent = {**ASKED, **{name.replace("_", "-"): value for name, value in fields.items()}}
    answer = Authorizer(gate.accounts, gate.settings).answer(Request(method, path, sent))
    line, _, rest = answer.decode("latin-1").partition("\r\n")
    return int(line.split()[1]), message_from_string(rest)


async def test_an_app_is_told_who_it_is_and_nothing_of_the_session(gate: Gate) -> None:
    gate.write_people(anna={**PEOPLE["anna"], "name": "Änna Smith"})
    token, _ = await gate.sign_in()

    status, answer = ask(gate, cookie=f"theme=d\xe4rk; ez_session={token}; x=1")

    assert status == 200
    assert [answer[name] for name in REMOTE[:2]] == ["anna", "admins,users"]
    assert (answer["Remote-Name"] or "").encode("latin-1").decode() == "Änna Smith"
    assert answer["Remote-Email"] == "anna@example.org"
    assert answer["Cookie"] == "theme=d\xe4rk; x=1"


async def test_no_cookie_is_answered_where_the_session_was_the_only_one(gate: Gate) -> None:
    token, _ = await gate.sign_in()

    assert ask(gate, cookie=f"ez_session={token}")[1]["Cookie"] is None


async def test_a_bypassed_route_is_told_nothing_about_who_it_is(gate: Gate) -> None:
    route = {"host": "open.lab.localhost", "name": "open", "title": "Open", "policy": "bypass", "groups": []}
    write_whole(gate.folder / "policy.json", json.dumps({**POLICY, "routes": [route]}))
    gate.accounts.look()
    token, _ = await gate.sign_in()

    status, answer = ask(gate, x_forwarded_host="open.lab.localhost", cookie=f"a=1; ez_session={token}")

    assert (status, answer["Cookie"], answer["Remote-User"]) == (200, "a=1", None)


async def test_a_planted_cookie_locks_nobody_out_and_two_sessions_are_as_none(gate: Gate) -> None:
    token, _ = await gate.sign_in()
    other, _ = await gate.sign_in()

    for cookie in (f"ez_session={token}; ez_session=x", f"ez_session=x; ez_session={token}"):
        assert ask(gate, cookie=cookie)[0] == 200
    assert ask(gate, cookie=f"ez_session={token}; ez_session={other}")[0] == 302


@pytest.mark.parametrize(
    "forged", ["remote-user", "remote_user", "remote.user", "x-forwarded-user", "authorization", "x-forwarded-server"]
)
async def test_what_a_client_says_about_itself_changes_nothing(gate: Gate, forged: str) -> None:
    status, answer = ask(gate, **{forged: "anna"})

    assert (status, answer["Remote-User"]) == (302, None)


async def test_changed_people_are_told_at_once(gate: Gate) -> None:
    token, _ = await gate.sign_in()
    authorizer = Authorizer(gate.accounts, gate.settings)
    request = Request("GET", PATH, {**ASKED, "cookie": f"ez_session={token}"})
    assert b"Remote-Groups: admins,users\r\n" in authorizer.answer(request)
    gate.write_people(anna={**PEOPLE["anna"], "groups": []})

    assert b"Remote-Groups: \r\n" in authorizer.answer(request)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/api/health", 404),
        ("GET", PATH + "/", 404),
        ("POST", PATH, 405),
        ("HEAD", PATH, 405),
    ],
)
async def test_nothing_else_answers_there(gate: Gate, method: str, path: str, status: int) -> None:
    assert ask(gate, method, path)[0] == status


async def test_a_fault_inside_opens_no_door_and_logs_no_secret(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(token: str) -> None:
        raise RuntimeError(f"with {token}")

    monkeypatch.setattr(gate.accounts, "session_of", fail)
    with caplog.at_level(logging.DEBUG):
        assert ask(gate, cookie="ez_session=SECRETTOKEN")[0] == 500

    assert "RuntimeError in fail" in caplog.text
    assert "SECRETTOKEN" not in caplog.text


async def test_the_audit_log_holds_no_secret_and_no_line_of_a_strangers_making(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        secret, token, codes = await gate.enrol()
        gate.accounts.make_link("ben", "invite", 5)
        with pytest.raises(Exception, match="wrong"):
            await gate.sign_in("x\n2026 INFO gate.audit: sign-in user=anna", "the wrong password")
    rows = gate.accounts._store.rows("SELECT event, user, address, detail FROM audit")

    told = caplog.text + repr(rows)
    assert ("totp-added", "anna", HOME, "") in rows
    assert not any(word in told for word in (secret, token, *codes, "the wrong password", "correct horse"))
    assert not any(line.startswith("2026 INFO") for line in caplog.text.splitlines())
