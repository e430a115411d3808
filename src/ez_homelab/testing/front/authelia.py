"""A real Authelia as a process, told what the product tells it of the same lab as the gate's two documents.

It answers the same cases as the gate; where the two are meant to differ, a case names the engines it is for.
Configuration keys: https://www.authelia.com/configuration/ (4.39).
"""

from __future__ import annotations

import json
import secrets
import subprocess
from typing import TYPE_CHECKING, Any

import pyotp
import yaml

from ez_homelab.authelia_people import password_hash
from ez_homelab.errors import CommandError
from ez_homelab.secrets.value import Secret
from ez_homelab.sso.authelia.configuration import configuration
from ez_homelab.sso.authelia.people import merge_users
from ez_homelab.testing.front.browser import code
from ez_homelab.testing.front.client import plain_ask
from ez_homelab.testing.front.described import lab_of, people_of, routes_of
from ez_homelab.testing.front.programs import LOOPBACK, Program, free_port, listens

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ez_homelab.config.model import SignOnEngine
    from ez_homelab.testing.front.client import Answer
    from ez_homelab.testing.front.engine import Document

SESSION_COOKIE = "authelia_session"


class Authelia:
    """An `Engine`: the Authelia of that executable."""

    name: SignOnEngine = "authelia"

    def __init__(self, executable: str) -> None:
        self._executable = executable
        self._port = free_port()
        self.portal = f"http://{LOOPBACK}:{self._port}"
        self.forward_auth = f"{self.portal}/api/authz/forward-auth"
        self._program: Program | None = None
        self._sessions: dict[tuple[str, int], str] = {}

    def start(self, folder: Path, policy: Document, people: Document, passwords: Mapping[str, str]) -> None:
        """See `Engine`."""
        self._folder = folder / "authelia"
        self._folder.mkdir()
        self._host, self._passwords = policy["portal"], passwords
        users = self._folder / "users.yml"
        users.write_bytes(_users(people, passwords))
        self._configuration = self._folder / "configuration.yml"
        document = _configuration(policy, self._folder, self._port)
        self._configuration.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        argv = [self._executable, "--config", str(self._configuration)]
        self._program = Program("Authelia", argv, self._folder / "authelia.log")
        self._program.wait_until(self._ready)

    def sign_in(self, user: str, factors: int) -> str:
        """See `Engine`. The same session each time: Authelia takes a TOTP code once."""
        kept = self._sessions.get((user, factors))
        if kept is None:
            kept = self._sessions[user, factors] = self._new_session(user, factors)
        return kept

    def stop(self) -> None:
        """See `Engine`."""
        if self._program is not None:
            self._program.stop()

    def _new_session(self, user: str, factors: int) -> str:
        told = {"username": user, "password": self._passwords[user], "keepMeLoggedIn": False, "requestMethod": "GET"}
        cookie = _session(self._post("/api/firstfactor", told))
        if factors < 2:
            return cookie
        secret = pyotp.random_base32()
        argv = ["storage", "user", "totp", "generate", user, "--force", "--secret", secret]
        subprocess.run(
            [self._executable, *argv, "--config", str(self._configuration)], check=True, capture_output=True, timeout=60
        )
        answer = self._post("/api/secondfactor/totp", {"token": code(secret)}, cookie)
        return _session(answer) if answer.all("set-cookie") else cookie

    def _post(self, path: str, document: dict[str, object], cookie: str = "") -> Answer:
        headers = [
            ("Content-Type", "application/json"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", self._host),
            ("X-Forwarded-For", "127.0.1.1"),
            *([("Cookie", cookie)] if cookie else []),
        ]
        answer = plain_ask(self._port, "POST", path, headers, json.dumps(document).encode())
        if answer.status != 200:
            raise CommandError(f"Authelia refused {path}", evidence=answer.text[:500], fix="read its log")
        return answer

    def _ready(self) -> bool:
        return listens(self._port) and plain_ask(self._port, "GET", "/api/health").status == 200


def _session(answer: Answer) -> str:
    pair = answer.header("set-cookie").partition(";")[0]
    if not pair.startswith(f"{SESSION_COOKIE}="):
        raise CommandError("Authelia gave no session", evidence=f"status {answer.status}", fix="read its log")
    return pair


def _users(people: Document, passwords: Mapping[str, str]) -> bytes:
    hashes = {user: password_hash(Secret(password)) for user, password in passwords.items()}
    return merge_users(None, people_of(people), hashes)


def _configuration(policy: Document, folder: Path, port: int) -> dict[str, Any]:
    """What the product writes, but for where things lie and listen. Sessions are kept in memory here."""
    document: dict[str, Any] = yaml.safe_load(configuration(lab_of(policy), routes_of(policy)))
    document["server"]["address"] = f"tcp://{LOOPBACK}:{port}/"
    document["authentication_backend"]["file"]["path"] = str(folder / "users.yml")
    document["storage"] = {"encryption_key": secrets.token_hex(32), "local": {"path": str(folder / "db.sqlite3")}}
    document["notifier"]["filesystem"]["filename"] = str(folder / "notification.txt")
    document["identity_validation"] = {"reset_password": {"jwt_secret": secrets.token_hex(32)}}
    del document["session"]["redis"]
    document["session"]["secret"] = secrets.token_hex(32)
    return document
