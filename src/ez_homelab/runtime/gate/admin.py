"""The way in for root on core: a socket that only the gate's own user can open, and the client that speaks to it.

    docker exec -i gate python3 -m gate.admin    <<< '{"do": "state"}'

One JSON object in, one out. There is no way to it over a network.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

from .clock import as_text
from .kinds import Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from .accounts import Accounts
    from .kinds import Purpose
    from .settings import Settings

log = logging.getLogger("gate.admin")

SOCKET = "/run/gate/admin.sock"
LARGEST = 65_536
SECONDS = 20.0
LINKS: dict[str, tuple[Purpose, int]] = {
    "invite": ("invite", 60 * 24 * 3),
    "login-link": ("login", 10),
    "reset-link": ("reset", 60),
}
"""What each kind of link is for, and its minutes where the request has none."""
REFUSALS = {
    "busy": ("too many passwords are being checked right now", "try again in a few seconds"),
    "weak": ("the password is too weak", "choose a longer one"),
}


class RequestError(Exception):
    """A request that is not done; `fix` says what to do instead."""

    def __init__(self, sentence: str, fix: str = "") -> None:
        super().__init__(sentence)
        self.fix = fix


class Administration:
    """Does what a request says."""

    def __init__(self, accounts: Accounts, settings: Settings) -> None:
        self._accounts = accounts
        self._settings = settings
        self._known: dict[str, Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]] = {
            **dict.fromkeys(LINKS, self._link),
            "passwd": self._passwd,
            "reset-second-factor": self._reset,
            "sign-out": self._sign_out,
            "state": self._state,
            "identity": self._identity,
            "forget": self._forget,
        }

    async def answer(self, line: bytes) -> dict[str, Any]:
        """The answer to one line; `{"error": ..., "fix": ...}` where it is not done."""
        try:
            return await self._answer(line)
        except RequestError as fault:
            return {"error": str(fault), "fix": fault.fix}
        except LookupError as fault:
            return {"error": str(fault.args[0]), "fix": "ez-homelab users list shows who there is"}
        except Refused as refused:
            sentence, fix = REFUSALS.get(refused.reason, (f"refused: {refused.reason}", ""))
            return {"error": sentence, "fix": refused.detail or fix}
        except Exception as fault:
            log.exception("a request to the admin socket has failed")
            return {"error": f"the gate has failed: {type(fault).__name__}", "fix": "ez-homelab logs gate"}

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            do = self._known[request["do"]]
        except (ValueError, KeyError, TypeError):
            raise RequestError("the request is not known", "one of: " + ", ".join(sorted(self._known))) from None
        return await do(request)

    async def _link(self, request: Mapping[str, Any]) -> dict[str, Any]:
        purpose, minutes = LINKS[request["do"]]
        minutes = _whole(request, "minutes", minutes)
        try:
            token, expires = self._accounts.make_link(_text(request, "user"), purpose, minutes)
        except ValueError as fault:
            raise RequestError(str(fault)) from None
        return {"link": f"https://{self._settings.policy.portal}/link/{token}", "expires": as_text(expires)}

    async def _passwd(self, request: Mapping[str, Any]) -> dict[str, Any]:
        user = _text(request, "user")
        await self._accounts.set_password(user, _text(request, "password"))
        return {"user": user}

    async def _reset(self, request: Mapping[str, Any]) -> dict[str, Any]:
        user = _text(request, "user")
        self._accounts.reset_second_factors(user)
        return {"user": user}

    async def _sign_out(self, request: Mapping[str, Any]) -> dict[str, Any]:
        user = _text(request, "user")
        return {"user": user, "ended": self._accounts.end_all(user)}

    async def _identity(self, request: Mapping[str, Any]) -> dict[str, Any]:
        groups, factors = request.get("groups", []), _whole(request, "factors", 1)
        if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups) or factors not in (1, 2):
            raise RequestError("an identity needs groups (a list of names) and factors (1 or 2)")
        try:
            user, token = self._accounts.make_identity(groups, factors, _whole(request, "minutes", 5))
        except ValueError as fault:
            raise RequestError(str(fault)) from None
        return {"user": user, "token": token}

    async def _forget(self, request: Mapping[str, Any]) -> dict[str, Any]:
        user = _text(request, "user")
        self._accounts.forget(user)
        return {"user": user}

    async def _state(self, _request: Mapping[str, Any]) -> dict[str, Any]:
        locked = [
            {"kind": lock.kind, "user": lock.user, "address": lock.address, "until": as_text(lock.until)}
            for lock in self._accounts.locks()
        ]
        return {"users": {user: self._of(user) for user in self._accounts.people()}, "locked": locked}

    def _of(self, user: str) -> dict[str, Any]:
        factors, sessions = self._accounts.second_factors(user), self._accounts.sessions(user)
        invited = self._accounts.invited_until(user)
        return {
            "password": self._accounts.has_password(user),
            "totp": factors.totp,
            "passkeys": len(factors.passkeys),
            "recovery_left": factors.recovery_left,
            "sessions": len(sessions),
            "last_seen": as_text(sessions[0].seen) if sessions else None,
            "invited_until": None if invited is None else as_text(invited),
        }


async def listen(administration: Administration, path: Path) -> asyncio.AbstractServer:
    """Open the socket, for this user only. One that a killed gate left behind is replaced."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                answer = await administration.answer(await reader.readline())
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (OSError, TimeoutError, ValueError) as fault:
            log.warning("a request to the admin socket broke off: %s", type(fault).__name__)
        finally:
            writer.close()

    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(serve, path, limit=LARGEST)
    finally:
        os.umask(before)


def ask(path: str, line: bytes) -> bytes:
    """The answer of the gate that listens there. Raises `OSError`."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(path)
        connection.sendall(line.strip() + b"\n")
        received = b""
        while not received.endswith(b"\n") and (part := connection.recv(LARGEST)):
            received += part
    return received


def main() -> int:
    """The client: one request from standard input, the answer to standard output; exit 1 where it is an error."""
    path = os.environ.get("GATE_SOCKET", SOCKET)
    try:
        answer = ask(path, sys.stdin.buffer.readline(LARGEST))
    except OSError as fault:
        sentence = {"error": f"the gate does not answer at {path}: {fault}", "fix": "ez-homelab logs gate"}
        answer = json.dumps(sentence).encode() + b"\n"
    sys.stdout.buffer.write(answer)
    return 1 if not answer or b'"error"' in answer[:10] else 0


def _text(request: Mapping[str, Any], name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str) or not value:
        raise RequestError(f"the request needs {name}")
    return value


def _whole(request: Mapping[str, Any], name: str, default: int) -> int:
    value = request.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise RequestError(f"{name} is a whole number")
    return value


if __name__ == "__main__":
    sys.exit(main())
