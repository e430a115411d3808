"""What the portal's tests share: a small lab and its accounts, a browser without JavaScript, a passkey device."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from dataclasses import dataclass, field
from html import unescape
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import bytes_to_base64url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import ClientResponse
    from aiohttp.test_utils import TestClient

    from ez_homelab.runtime.gate.accounts import Accounts

DOMAIN = "lab.localhost"
PORTAL = "auth.lab.localhost"
ORIGIN = f"https://{PORTAL}"
PASSWORD = "correct horse battery staple"
HOME, ABROAD = "192.168.1.20", "203.0.113.7"

POLICY = {
    "version": 1,
    "title": "Smith lab",
    "domain": DOMAIN,
    "portal": PORTAL,
    "lan": ["192.168.0.0/16", "127.0.0.0/8"],
    "session": {"idle": 7200, "lifetime": 86400, "remembered": 2592000},
    "default": {"policy": "one_factor", "groups": []},
    "routes": [
        {"host": f"{name}.{DOMAIN}", "name": name, "title": title, "policy": policy, "groups": groups, "access": access}
        for name, title, policy, groups, access in (
            ("photos", "Photos", "one_factor", [], "public"),
            ("films", "Films", "bypass", [], "public"),
            ("metrics", "Metrics", "two_factor", ["admins"], "lan"),
            ("vault", "Vault", "two_factor", [], "public"),
            ("books", "Books", "one_factor", ["staff"], "public"),
            ("old", "Old thing", "deny", [], "public"),
            ("auth", "Sign-on", "bypass", [], "public"),
        )
    ],
}
PEOPLE = {
    "version": 1,
    "users": {
        "anna": {"name": "Anna <b>Smith</b>", "email": "anna@example.org", "groups": ["admins"], "disabled": False},
        "ben": {"name": "Ben", "email": "", "groups": [], "disabled": False},
        "carl": {"name": "Carl", "email": "", "groups": ["admins"], "disabled": True},
    },
}


@dataclass
class Clock:
    """Time that stands still until it is moved."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def go_on(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Page:
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    text: str
    set_cookies: dict[str, Any]

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")

    @property
    def words(self) -> str:
        """What a person reads: no tags, no entities."""
        body = self.text.partition("<body>")[2] or self.text
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())

    @property
    def document(self) -> Any:
        return json.loads(self.text)


@dataclass
class Browser:
    """Keeps cookies as a browser does for the portal's host, and sends forms with the token of the page it saw last."""

    client: TestClient[Any, Any]
    address: str = HOME
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> Page:
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, fields: Mapping[str, str] | None = None, **headers: str) -> Page:
        """Send a form; what `fields` names with `csrf` replaces the page's own token."""
        return await self._ask("POST", path, {"csrf": self.token, **(fields or {})}, {"Origin": ORIGIN, **headers})

    async def send(self, path: str, document: Any = None, **headers: str) -> Page:
        """Send JSON, as the passkey script does."""
        said = {"Origin": ORIGIN, "X-CSRF-Token": self.token, "Content-Type": "application/json", **headers}
        return await self._ask("POST", path, json.dumps(document or {}).encode(), said)

    async def sign_in(self, user: str = "anna", password: str = PASSWORD, **fields: str) -> Page:
        await self.get("/")
        return await self.post("/", {"user": user, "password": password, **fields})

    async def _ask(self, method: str, path: str, data: Any, headers: Mapping[str, str]) -> Page:
        said = {"Host": PORTAL, "X-Forwarded-For": self.address, **self.headers, **headers}
        if self.cookies:
            said.setdefault("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        async with self.client.request(method, path, data=data, headers=said, allow_redirects=False) as answer:
            page = Page(answer.status, answer.headers, await answer.text(), _cookies(answer))
        self._remember(page)
        return page

    def _remember(self, page: Page) -> None:
        for name, morsel in page.set_cookies.items():
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value
        found = re.search(r'name="csrf" value="([^"]+)"', page.text)
        self.token = found[1] if found else self.token


def _cookies(answer: ClientResponse) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in answer.headers.getall("Set-Cookie", []):
        found.update(SimpleCookie(line))
    return found


@dataclass
class World:
    """A running portal with its accounts."""

    accounts: Accounts
    client: TestClient[Any, Any]
    clock: Clock

    def browser(self, address: str = HOME) -> Browser:
        return Browser(self.client, address)


class Authenticator:
    """A passkey device: makes a key, and signs challenges with it (WebAuthn Level 3, sections 6.3 and 6.5)."""

    def __init__(
        self, *, counts: bool = True, verifies: bool = True, origin: str = ORIGIN, domain: str = DOMAIN
    ) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.credential_id = secrets.token_bytes(32)
        self.sign_count = 1 if counts else 0
        self.counts, self.verifies, self.origin, self.domain = counts, verifies, origin, domain
        self.user_handle: str | None = None

    def make(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Answer the options of `navigator.credentials.create()`."""
        self.user_handle = options["user"]["id"]
        numbers = self.key.public_key().public_numbers()
        key = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        held = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + cbor2.dumps(key)
        made = {"fmt": "none", "attStmt": {}, "authData": self._data(0x41) + held}
        return self._credential(
            {
                "clientDataJSON": self._said("webauthn.create", options),
                "attestationObject": bytes_to_base64url(cbor2.dumps(made)),
                "transports": ["internal", "carrier pigeon"],
            }
        )

    def show(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Answer the options of `navigator.credentials.get()`."""
        self.sign_count += 1 if self.counts else 0
        said, data = self._said("webauthn.get", options), self._data(0x01)
        signed = data + hashlib.sha256(_raw(said)).digest()
        return self._credential(
            {
                "clientDataJSON": said,
                "authenticatorData": bytes_to_base64url(data),
                "signature": bytes_to_base64url(self.key.sign(signed, ec.ECDSA(hashes.SHA256()))),
                "userHandle": self.user_handle,
            }
        )

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        name = bytes_to_base64url(self.credential_id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response}

    def _data(self, flags: int) -> bytes:
        flags |= 0x04 if self.verifies else 0
        return hashlib.sha256(self.domain.encode()).digest() + bytes([flags]) + self.sign_count.to_bytes(4, "big")

    def _said(self, kind: str, options: Mapping[str, Any]) -> str:
        document = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return bytes_to_base64url(json.dumps(document).encode())


def _raw(text: str) -> bytes:
    from webauthn.helpers import base64url_to_bytes

    return base64url_to_bytes(text)
