"""The built-in gate as a process, as its container runs it but for paths and ports."""

from __future__ import annotations

import json
import secrets
import socket
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ez_homelab.errors import CommandError
from ez_homelab.testing.front.browser import Browser
from ez_homelab.testing.front.client import Answer, plain_ask, split
from ez_homelab.testing.front.programs import LOOPBACK, Program, free_port, listens

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ez_homelab.config.model import SignOnEngine
    from ez_homelab.testing.front.client import Header
    from ez_homelab.testing.front.engine import Document

SESSION_COOKIE = "ez_session"


class Gate:
    """An `Engine`: the gate. Its people sign in at `home`, an address of the lab's own network."""

    name: SignOnEngine = "builtin"

    def __init__(self, home: str = "127.0.1.1") -> None:
        self.home = home
        self.portal_port, self.authorize_port = free_port(), free_port()
        self.portal = f"http://{LOOPBACK}:{self.portal_port}"
        self.forward_auth = f"http://{LOOPBACK}:{self.authorize_port}/api/authz/forward-auth"
        self.program: Program | None = None
        self._recovery_codes: dict[str, list[str]] = {}

    def start(self, folder: Path, policy: Document, people: Document, passwords: Mapping[str, str]) -> None:
        """See `Engine`. Called again with the same folder it finds what it had kept before."""
        self.folder = folder / "gate"
        self._host = policy["portal"]
        self._passwords = passwords
        (self.folder / "config").mkdir(parents=True)
        (self.folder / "data").mkdir()
        self.write("policy.json", policy)
        self.write("people.json", people)
        key = self.folder / "gate_key"
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(32), encoding="ascii")
        self.run()
        for user, password in passwords.items():
            self.admin(do="passwd", user=user, password=password)

    def run(self) -> None:
        """Start the process in the folder that `start` made; after `stop`, this is a restart."""
        environment = {
            "GATE_CONFIG": self.folder / "config",
            "GATE_DATA": self.folder / "data",
            "GATE_KEY": self.folder / "gate_key",
            "GATE_SOCKET": self.socket_path,
            "GATE_ADDRESS": LOOPBACK,
            "GATE_PORTAL_PORT": self.portal_port,
            "GATE_AUTHORIZE_PORT": self.authorize_port,
        }
        told = {name: str(value) for name, value in environment.items()}
        argv = [sys.executable, "-m", "ez_homelab.runtime.gate"]
        self.program = Program("the gate", argv, self.folder / "gate.log", told)
        self.program.wait_until(self._ready)

    @property
    def socket_path(self) -> Path:
        """The admin socket."""
        return self.folder / "admin.sock"

    def write(self, name: str, document: Document) -> None:
        """Give the running gate another policy.json or people.json, as an apply does: written whole and renamed."""
        new = self.folder / f"{name}.new"
        new.write_text(json.dumps(document), encoding="utf-8")
        new.rename(self.folder / "config" / name)

    def admin(self, **asked: object) -> dict[str, Any]:
        """Ask over the admin socket. Raises `CommandError` with the gate's own sentence."""
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
            connection.settimeout(20)
            connection.connect(str(self.socket_path))
            connection.sendall(json.dumps(asked).encode() + b"\n")
            with connection.makefile("rb") as reader:
                answer: dict[str, Any] = json.loads(reader.readline())
        if "error" in answer:
            raise CommandError(str(answer["error"]), evidence=f"asked to {asked['do']}", fix=str(answer.get("fix", "")))
        return answer

    def identity(self, groups: Iterable[str] = (), factors: int = 1) -> str:
        """The cookie pair of a temporary identity, which is in these groups."""
        made = self.admin(do="identity", groups=[*groups], factors=factors, minutes=5)
        return f"{SESSION_COOKIE}={made['token']}"

    def browser(self, address: str | None = None) -> Browser:
        """A browser that reaches the portal around Traefik."""
        return Browser(self._ask, self._host, address or self.home)

    def sign_in(self, user: str, factors: int) -> str:
        """See `Engine`: through the portal's forms; the first time with two factors enrols an authenticator app."""
        browser = self.browser()
        answer = browser.sign_in(user, self._passwords[user])
        if SESSION_COOKIE not in browser.cookies:
            raise CommandError(f"{user} cannot sign in", evidence=f"status {answer.status}", fix="read the gate's log")
        if factors > 1:
            self._second_factor(browser, user)
        return f"{SESSION_COOKIE}={browser.cookies[SESSION_COOKIE]}"

    def program_log(self) -> bytes:
        """All that the process has printed."""
        return (self.folder / "gate.log").read_bytes()

    def stop(self) -> None:
        """See `Engine`."""
        if self.program is not None:
            self.program.stop()

    def _second_factor(self, browser: Browser, user: str) -> None:
        known = self._recovery_codes.get(user)
        if known:
            browser.submit("/second-factor", "/second-factor", {"recovery_code": known.pop()})
            return
        _, self._recovery_codes[user] = browser.enrol_totp()

    def _ask(
        self, method: str, url: str, headers: Iterable[Header] = (), *, body: bytes = b"", address: str = ""
    ) -> Answer:
        host, target = split(url)
        told = [("Host", host), ("X-Forwarded-For", address), ("X-Forwarded-Proto", "https"), *headers]
        return plain_ask(self.portal_port, method, target, told, body)

    def _ready(self) -> bool:
        if not (listens(self.portal_port) and listens(self.authorize_port) and self.socket_path.exists()):
            return False
        return plain_ask(self.portal_port, "GET", "/api/health").status == 200
