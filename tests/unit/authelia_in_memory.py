"""Authelia's container on a fake server: its list of people, its log, its second factors, its last message."""

from __future__ import annotations

import hashlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ez_homelab.hosts import Completed
from ez_homelab.lab.authelia_users import AutheliaUsers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from ez_homelab.hosts import Command
    from ez_homelab.testing.fake_host import FakeHost

# As the program itself prints it (4.39.20), with a secret that opens nothing.
GENERATED = (
    "Successfully generated TOTP configuration for user '{user}' with URI 'otpauth://totp/EZ-Homelab:{user}"
    "?algorithm=SHA1&digits=6&issuer=EZ-Homelab&period=30&secret=ZNJPZ3DPTFYLGJB7FQBD2JHMHWIAQ7N6ZVE4GIIFR3PAYGXGLE2A'\n"
)
NO_TOTP = "Error: failed to delete TOTP configuration for user '{user}': no TOTP configuration for user\nUsage:\n  x\n"
NO_PASSKEYS = "Error: no WebAuthn credentials in database\nUsage:\n  x\n"
READ_AGAIN = (
    '{number:08}Z time="2026-11-23T02:00:00Z" level=info msg="Reloaded successfully" file=/config/users.yml op=CREATE'
)


class AutheliaInMemory:
    """`reads`: after how many writes of the list it notices one, 0 for never; `races`: how many it forestalls."""

    def __init__(self, host: FakeHost, users: bytes = b"users: {}\n") -> None:
        self.users = users
        self.message = ""
        self.totp: set[str] = set()
        self.passkeys: dict[str, int] = {}
        self.log: list[str] = []
        self.writes = 0
        self.reads = 1
        self.races = 0
        self.readable_log = True
        host.answer(_is_for_authelia, does=self._docker)

    def _docker(self, command: Command) -> Completed:
        if command.argv[1] == "logs":
            return Completed(command, 0 if self.readable_log else 1, "\n".join(self.log), "")
        inside = command.argv[command.argv.index("authelia") + 1 :]
        status, out, error = self._inside(inside, command.stdin)
        return Completed(command, status, out, error)

    def _inside(self, argv: tuple[str, ...], stdin: bytes) -> tuple[int, str, str]:
        if argv[0] == "cat":
            return 0, self.message if "notification" in argv[1] else self.users.decode(), ""
        if argv[0] == "sh" and "storage" in argv[2]:
            return 0, "".join(f"{user}\n" for user in sorted(self.totp)), ""
        if argv[0] == "sh":
            return self._replaced(argv[-1], stdin)
        return self._storage(argv[3:])

    def _replaced(self, digest: str, stdin: bytes) -> tuple[int, str, str]:
        if self.races:
            self.races -= 1
            return 1, "", ""
        if hashlib.sha256(self.users).hexdigest() != digest:
            return 1, "", ""
        self.users = stdin
        self.writes += 1
        if self.reads and self.writes % self.reads == 0:
            self.log.append(READ_AGAIN.format(number=self.writes))
        return 0, "", ""

    def _storage(self, words: tuple[str, ...]) -> tuple[int, str, str]:
        what, user = words[:2], words[2]
        if what == ("totp", "generate"):
            self.totp.add(user)
            return 0, GENERATED.format(user=user), ""
        if what == ("totp", "delete"):
            known = user in self.totp
            self.totp.discard(user)
            return (0, "", "") if known else (1, "", NO_TOTP.format(user=user))
        if what == ("webauthn", "delete"):
            self.passkeys.pop(user, None)
            return 0, "", ""
        return (0, self._listed(), "") if self.passkeys else (1, "WebAuthn Credentials:\n\n", NO_PASSKEYS)

    def _listed(self) -> str:
        rows = [user for user, number in self.passkeys.items() for _ in range(number)]
        lines = (
            f"{number}     lab.localhost    kid{number}    My key {number}    {user}"
            for number, user in enumerate(rows, 1)
        )
        return "WebAuthn Credentials:\n\nID    RPID    KID    Description    Username\n" + "\n".join(lines) + "\n"


def _is_for_authelia(command: Command) -> bool:
    return command.argv[0] == "docker" and command.argv[1] in ("exec", "logs") and "authelia" in command.argv


# As its notifier for files writes them (4.39.20), with a token that opens nothing.
RESET = """\
Date: 2026-11-23 02:00:00 +0000 UTC
Recipient: {Bob Smith bob@example.org}
Subject: Reset your password
Hi Bob Smith

https://auth.lab.localhost/reset-password/step2?token=abc.def.NUMBER

https://auth.lab.localhost/revoke/reset-password?token=abc.def.NUMBER
"""


class PortalInMemory:
    """Its portal, which writes the message that is asked for, unless it is mute."""

    def __init__(self, there: AutheliaInMemory) -> None:
        self.there = there
        self.asked: list[str] = []
        self.mute = False

    async def start_reset(self, user: str) -> None:
        self.asked.append(user)
        if not self.mute:
            self.there.message = RESET.replace("NUMBER", str(len(self.asked)))


def with_portal(there: AutheliaInMemory, monkeypatch: pytest.MonkeyPatch) -> PortalInMemory:
    """The portal, in the place of the one behind the reverse proxy; nobody waits for anything."""
    made = PortalInMemory(there)

    @asynccontextmanager
    async def reached(_: AutheliaUsers) -> AsyncIterator[PortalInMemory]:
        yield made

    monkeypatch.setattr(AutheliaUsers, "_portal", reached)
    for pauses in ("authelia_people.LOOKS", "lab.authelia_users.LOOKS"):
        monkeypatch.setattr(f"ez_homelab.{pauses}", (0.0,))
    monkeypatch.setattr("ez_homelab.authelia_people.COOLDOWN", 0.0)
    return made
