"""The forward-auth server: Traefik asks it about every request of every app. No SQL, no waiting, a few dictionaries."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING

from .cookies import take_session
from .decide import Asked, Who, decide, wants_page
from .wire import Request, response

if TYPE_CHECKING:
    from .accounts import Accounts
    from .decide import Decision
    from .policy import Person
    from .settings import Settings

log = logging.getLogger("gate.authorize")

PATH = "/api/authz/forward-auth"
TEXT = b"Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n"
WORDS = {
    302: b"Sign in first.\n",
    303: b"Sign in first.\n",
    400: b"This request cannot be understood.\n",
    401: b"Sign in first.\n",
    403: b"This may not be opened by this account or from here.\n",
}
FAULT = response(500, TEXT, b"The gate has failed to decide. Its log says more.\n")
NOT_ALLOWED = response(405, b"Allow: GET\r\n")
NOT_FOUND = response(404)
PEOPLE_KEPT = 1_000


class Authorizer:
    """Answers Traefik. Whatever goes wrong inside is a 500, so that no fault opens a door."""

    def __init__(self, accounts: Accounts, settings: Settings) -> None:
        self._accounts = accounts
        self._settings = settings
        self._told: dict[str, tuple[Person, bytes]] = {}

    def answer(self, request: Request) -> bytes:
        """The response to one request, whole."""
        if request.path != PATH:
            return NOT_FOUND
        if request.method != "GET":
            return NOT_ALLOWED
        try:
            return self._answer(request.fields)
        except Exception as fault:  # noqa: BLE001 - fail closed, and say where without saying what
            place = traceback.extract_tb(fault.__traceback__)[-1]
            log.error("%s in %s:%s", type(fault).__name__, place.name, place.lineno)
            return FAULT

    def _answer(self, fields: dict[str, str]) -> bytes:
        sent = fields.get("cookie", "")
        token, others = take_session(sent, self._accounts.session_of)
        asked = Asked(
            fields.get("x-forwarded-method", ""),
            fields.get("x-forwarded-proto", ""),
            fields.get("x-forwarded-host", ""),
            fields.get("x-forwarded-uri", ""),
            fields.get("x-forwarded-for", ""),
            wants_page(fields.get("accept", ""), fields.get("x-requested-with", "")),
        )
        decision = decide(asked, self._settings.policy, self._who(token) if token else None)
        if decision.status == 200:
            return self._let_through(decision.person, sent if decision.with_session else others)
        return _refuse(decision)

    def _who(self, token: str) -> Who | None:
        session = self._accounts.session_of(token)
        person = None if session is None else self._accounts.person(session.user)
        if session is None or person is None:
            return None
        return Who(session, person, self._accounts.has_second_factor(session.user))

    def _let_through(self, person: Person | None, cookies: str) -> bytes:
        fields = b"" if person is None else self._remote(person)
        if cookies:
            fields += b"Cookie: " + cookies.encode("latin-1") + b"\r\n"
        return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + fields + b"\r\n"

    def _remote(self, person: Person) -> bytes:
        """What apps are told about a person; put together once for each state of people.json."""
        known, fields = self._told.get(person.user, (None, b""))
        if known is not person:
            fields = (
                f"Remote-User: {person.user}\r\nRemote-Groups: {','.join(person.groups)}\r\n"
                f"Remote-Name: {person.name}\r\nRemote-Email: {person.email}\r\n"
            ).encode()
            if len(self._told) > PEOPLE_KEPT:
                self._told.clear()
            self._told[person.user] = (person, fields)
        return fields


def _refuse(decision: Decision) -> bytes:
    location = f"Location: {decision.location}\r\n".encode("ascii") if decision.location else b""
    return response(decision.status, location + TEXT, WORDS[decision.status])
