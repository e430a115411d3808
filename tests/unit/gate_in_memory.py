"""A gate in memory that answers what it is asked as root on core, for tests of what asks it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ez_homelab.hosts.protocol import Completed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ez_homelab.hosts import Command
    from ez_homelab.testing.fake_host import FakeHost

ARGV = ("docker", "exec", "-i", "gate", "python3", "-m", "gate.admin")
EXPIRES = "2030-01-02T03:04:05+00:00"
NOTHING: dict[str, Any] = {
    "password": False, "totp": False, "passkeys": 0, "recovery_left": 0, "sessions": 0, "last_seen": None,
    "invited_until": None,
}  # fmt: skip


class GateInMemory:
    """Knows the people of `people()`, looked up at each request, and what was done to each."""

    def __init__(self, host: FakeHost, people: Callable[[], Iterable[str]]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.accounts: dict[str, dict[str, Any]] = {}
        self.passwords: dict[str, str] = {}
        self.blind = 0
        """How many requests about a person come before it has looked at the list of people."""
        self._people = people
        host.answer(ARGV, does=self._answer)

    @property
    def done(self) -> list[str]:
        """What was asked for, without looks."""
        return [f"{one['do']} {one['user']}" for one in self.asked if one["do"] != "state"]

    def _answer(self, command: Command) -> Completed:
        request = json.loads(command.stdin)
        self.asked.append(request)
        answer = self._do(**request)
        return Completed(command, 1 if "error" in answer else 0, json.dumps(answer) + "\n", "")

    def _do(self, do: str, user: str = "", password: str = "", minutes: int = 0) -> dict[str, Any]:
        if do == "state":
            return {"users": {name: NOTHING | self.accounts.get(name, {}) for name in self._people()}, "locked": []}
        if do == "forget":
            return self._forget(user)
        if self.blind or user not in self._people():
            self.blind = max(0, self.blind - 1)
            return {"error": f"there is no user {user}", "fix": "ez-homelab users list"}
        return self._change(self.accounts.setdefault(user, dict(NOTHING)), do, user, password, minutes)

    def _forget(self, user: str) -> dict[str, Any]:
        if user in self._people():
            return {"error": f"{user} is still one of the lab's people", "fix": ""}
        self.accounts.pop(user, None)
        return {"user": user}

    def _change(self, account: dict[str, Any], do: str, user: str, password: str, minutes: int) -> dict[str, Any]:
        match do:
            case "invite" | "login-link":
                account["invited_until"] = EXPIRES
                token = f"token-{len(self.asked)}-for-{user}-{minutes}"
                return {"link": f"https://auth.lab.localhost/link/{token}", "expires": EXPIRES}
            case "passwd" if len(password) < 8:
                return {"error": "the password is too short", "fix": "choose one of at least 8 characters"}
            case "passwd":
                self.passwords[user] = password
                account |= {"password": True, "invited_until": None}
            case "reset-second-factor":
                account |= {"totp": False, "passkeys": 0, "recovery_left": 0}
            case "sign-out":
                account["sessions"] = 0
        return {}
