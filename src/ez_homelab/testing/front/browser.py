"""A browser as far as signing in needs one: cookies, forms with their hidden fields, nothing followed by itself."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode

import pyotp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ez_homelab.testing.front.client import Answer, Header

HOST_ONLY = "__Host-"
STEP = 30
"""Seconds that a TOTP code is for (RFC 6238)."""


class Ask(Protocol):
    """How a browser reaches hosts: `Client.ask`, or the same around Traefik."""

    def __call__(
        self, method: str, url: str, headers: Iterable[Header] = (), *, body: bytes = b"", address: str = ...
    ) -> Answer:
        """Send one request."""


@dataclass(slots=True)
class Form:
    """A form of a page: where it is sent to, and its fields as they stand there."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class Browser:
    """One browser at one address. `cookies` go to every host, `__Host-` ones to the portal only."""

    def __init__(self, ask: Ask, portal: str, address: str) -> None:
        self._ask = ask
        self.portal = f"https://{portal}"
        self.address = address
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, url: str, headers: Iterable[Header] = (), body: bytes = b"") -> Answer:
        """Send a request with this browser's cookies; a URL that starts with `/` is the portal's."""
        full = f"{self.portal}{url}" if url.startswith("/") else url
        to_portal = full.startswith(f"{self.portal}/")
        sent = "; ".join(
            f"{name}={value}" for name, value in self.cookies.items() if to_portal or not name.startswith(HOST_ONLY)
        )
        cookie = [("Cookie", sent)] if sent else []
        answer = self._ask(method, full, [*cookie, *headers], body=body, address=self.address)
        self._keep(answer)
        return answer

    def get(self, url: str, headers: Iterable[Header] = ()) -> Answer:
        """Look at a page."""
        return self.ask("GET", url, headers)

    def post(self, path: str, fields: Mapping[str, str], headers: Iterable[Header] = ()) -> Answer:
        """Send exactly these fields to the portal, as its own page would."""
        sent = [("Content-Type", "application/x-www-form-urlencoded"), *headers]
        if "origin" not in {name.lower() for name, _ in sent}:
            sent.append(("Origin", self.portal))
        return self.ask("POST", path, sent, urlencode(fields).encode())

    def submit(self, page: str, action: str, fields: Mapping[str, str] | None = None) -> Answer:
        """Look at `page`, fill in its form that goes to `action`, and send it. Raises `LookupError` without one."""
        return self.post(action, form_of(self.get(page), action).fields | dict(fields or {}))

    def sign_in(self, user: str, password: str, onward: str | None = None) -> Answer:
        """Sign in with the portal's form."""
        query = "?" + urlencode({"rd": onward, "rm": "GET"}) if onward else ""
        return self.submit(f"/{query}", "/", {"user": user, "password": password})

    def enrol_totp(self) -> tuple[str, list[str]]:
        """Set up an authenticator app with the code of the step before, so that later ones stay good.

        Returns the secret and the recovery codes.
        """
        action = "/second-factor/set-up"
        page = self.get(action)
        secret = secret_of(page)
        shown = self.post(action, form_of(page, action).fields | {"code": code(secret, -1)})
        return secret, codes_of(shown)

    def _keep(self, answer: Answer) -> None:
        for line in answer.all("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.cookies.pop(name, None)
                if morsel.value and morsel["max-age"] != "0":
                    self.cookies[name] = morsel.value


def code(secret: str, steps: int = 0) -> str:
    """The TOTP code of now, or of that many steps later."""
    return pyotp.TOTP(secret).at(int(time.time()) + steps * STEP)


def forms(page: Answer) -> list[Form]:
    """Every form of a page."""
    reader = _Forms()
    reader.feed(page.text)
    return reader.found


def form_of(page: Answer, action: str) -> Form:
    """The form that goes to `action`. Raises `LookupError` where the page has none."""
    for form in forms(page):
        if form.action == action:
            return form
    raise LookupError(f"no form to {action} on a page with status {page.status}, location {page.location!r}")


def secret_of(page: Answer) -> str:
    """The TOTP secret that the set-up page shows as text. Raises `LookupError`."""
    _, found, rest = page.text.partition('id="secret">')
    if not found:
        raise LookupError(f"no secret on a page with status {page.status}, location {page.location!r}")
    return rest.partition("<")[0].replace(" ", "")


def codes_of(page: Answer) -> list[str]:
    """The recovery codes that a page shows."""
    shown = page.text.partition('id="recovery-codes">')[2].partition("</ul>")[0]
    return [item.partition("</li>")[0].strip() for item in shown.split("<li>")[1:]]


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(named.get("action", "")))
            self._inside = True
        elif tag == "input" and self._inside and named.get("type") != "checkbox" and "name" in named:
            self.found[-1].fields[named["name"]] = named.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "form"
