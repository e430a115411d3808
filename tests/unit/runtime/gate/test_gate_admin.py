"""The admin socket: both ends of it."""

from __future__ import annotations

import asyncio
import io
import json
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest
from gate_world import ABROAD, OTHER_PASSWORD, WRONG, Gate, refusal

from ez_homelab.runtime.gate import admin
from ez_homelab.runtime.gate.admin import Administration, listen

if TYPE_CHECKING:
    from pathlib import Path


async def do(gate: Gate, do: str, **more: Any) -> dict[str, Any]:
    """The answer to one request."""
    return await Administration(gate.accounts, gate.settings).answer(json.dumps({"do": do, **more}).encode())


@pytest.mark.parametrize(
    ("kind", "purpose", "minutes"),
    [("invite", "invite", 4320), ("login-link", "login", 10), ("reset-link", "reset", 60)],
)
async def test_links_of_each_kind(gate: Gate, kind: str, purpose: str, minutes: int) -> None:
    made, short = await do(gate, kind, user="anna"), await do(gate, kind, user="ben", minutes=1)
    token = made["link"].removeprefix("https://auth.lab.localhost/link/")

    looked = await gate.accounts.open_link(token)
    assert looked is not None
    assert (looked.user, looked.purpose, looked.expires) == ("anna", purpose, gate.clock.now + 60 * minutes)
    assert made["expires"] > short["expires"] == "2027-01-15T08:01:00+00:00"


async def test_the_state_of_everybody(gate: Gate) -> None:
    await gate.enrol()
    gate.write_people(new={"name": "New", "email": "", "groups": []})
    await do(gate, "invite", user="new", minutes=60)
    for _ in range(6):
        await refusal(gate.sign_in("ben", WRONG, address=ABROAD))

    state = await do(gate, "state")

    assert state["users"]["anna"] == {
        "password": True,
        "totp": True,
        "passkeys": 0,
        "recovery_left": 10,
        "sessions": 1,
        "last_seen": "2027-01-15T08:00:00+00:00",
        "invited_until": None,
    }
    assert state["users"]["new"] == {
        "password": False,
        "totp": False,
        "passkeys": 0,
        "recovery_left": 0,
        "sessions": 0,
        "last_seen": None,
        "invited_until": "2027-01-15T09:01:00+00:00",
    }
    (locked,) = state["locked"]
    assert (locked["kind"], locked["user"], locked["address"]) == ("password", "ben", ABROAD)


async def test_password_second_factor_and_sign_out(gate: Gate) -> None:
    await gate.enrol()

    assert await do(gate, "sign-out", user="anna") == {"user": "anna", "ended": 1}
    assert await do(gate, "passwd", user="anna", password=OTHER_PASSWORD) == {"user": "anna"}
    await gate.sign_in(password=OTHER_PASSWORD)
    assert await do(gate, "reset-second-factor", user="anna") == {"user": "anna"}
    assert not gate.accounts.second_factors("anna").any


async def test_an_identity_for_the_proof_comes_and_goes(gate: Gate) -> None:
    made = await do(gate, "identity", groups=["admins"], factors=2, minutes=5)
    session = gate.accounts.session_of(made["token"])
    assert session is not None
    assert (session.user, session.factors) == (made["user"], 2)

    assert await do(gate, "forget", user=made["user"]) == {"user": made["user"]}
    assert gate.accounts.session_of(made["token"]) is None
    assert await do(gate, "forget", user=made["user"]) == {"user": made["user"]}


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"do": "invite"}, "the request needs user"),
        ({"do": "invite", "user": "nobody"}, "'nobody' is none of the lab's people"),
        ({"do": "login-link", "user": "eve"}, "eve is disabled"),
        ({"do": "invite", "user": "anna", "minutes": 0}, "a link is good for 1 to 43200 minutes, not 0"),
        ({"do": "invite", "user": "anna", "minutes": "5"}, "minutes is a whole number"),
        ({"do": "invite", "user": ["anna"]}, "the request needs user"),
        ({"do": "passwd", "user": "anna", "password": "short"}, "the password is too weak"),
        ({"do": "passwd", "user": "anna"}, "the request needs password"),
        ({"do": "identity", "groups": "admins"}, "an identity needs groups"),
        ({"do": "identity", "groups": [], "factors": 3}, "an identity needs groups"),
        ({"do": "identity", "groups": [], "minutes": True}, "minutes is a whole number"),
        ({"do": "forget", "user": "anna"}, "anna is still one of the lab's people"),
        ({"do": "delete-everything"}, "the request is not known"),
        ({"do": ["state"]}, "the request is not known"),
        ([], "the request is not known"),
        ({}, "the request is not known"),
    ],
)
async def test_what_cannot_be_done_is_said(gate: Gate, request_: object, says: str) -> None:
    administration = Administration(gate.accounts, gate.settings)

    answer = await administration.answer(json.dumps(request_).encode())

    assert says in answer["error"]
    assert "fix" in answer


@pytest.mark.parametrize("line", [b"", b"\n", b"{", b"\xff\xfe", b"null", b'"state"'])
async def test_what_is_no_request_is_said(gate: Gate, line: bytes) -> None:
    answer = await Administration(gate.accounts, gate.settings).answer(line)

    assert answer["error"] == "the request is not known"
    assert "login-link" in answer["fix"]


async def test_the_socket_is_for_its_owner_only_and_replaces_a_dead_one(gate: Gate, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    path.write_text("left behind")
    server = await listen(Administration(gate.accounts, gate.settings), path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    answer = await asyncio.to_thread(admin.ask, str(path), b'{"do": "state"}')
    assert json.loads(answer)["users"]["anna"]["password"] is True
    assert b"error" in await asyncio.to_thread(admin.ask, str(path), b"x" * 1000)
    server.close()


async def test_an_endless_line_is_cut_off(gate: Gate, tmp_path: Path) -> None:
    server = await listen(Administration(gate.accounts, gate.settings), tmp_path / "admin.sock")
    reader, writer = await asyncio.open_unix_connection(tmp_path / "admin.sock")
    writer.write(b"x" * 200_000 + b"\n")

    with pytest.raises((OSError, AssertionError)):
        assert await asyncio.wait_for(reader.read(), 5) != b""
    assert b"users" in await asyncio.to_thread(admin.ask, str(tmp_path / "admin.sock"), b'{"do": "state"}')
    writer.close()
    server.close()


async def test_the_client_passes_one_line_on_and_tells_errors_by_its_exit(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    server = await listen(Administration(gate.accounts, gate.settings), tmp_path / "admin.sock")
    monkeypatch.setenv("GATE_SOCKET", str(tmp_path / "admin.sock"))
    exits = []
    for line in (b'{"do": "state"}\n', b'{"do": "invite", "user": "nobody"}\n'):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(line)))
        exits.append(await asyncio.to_thread(admin.main))
    server.close()
    monkeypatch.setenv("GATE_SOCKET", str(tmp_path / "none.sock"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"{}\n")))
    exits.append(admin.main())
    sys.stdout.flush()

    first, second, third = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert exits == [0, 1, 1]
    assert "users" in first
    assert "nobody" in second["error"]
    assert "does not answer" in third["error"]
