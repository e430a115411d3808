"""One request to the portal, with what every handler asks of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ..cookies import take_session
from . import cookies, csrf
from .redirects import host_of, safe_target, with_target
from .words import ago

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..accounts import Accounts, Session
    from ..policy import Person, Policy
    from ..settings import Settings
    from .pages import Pages
    from .passkeys import Ceremonies
    from .refusals import Answer


@dataclass(frozen=True)
class Portal:
    """What all requests share."""

    accounts: Accounts
    settings: Settings
    pages: Pages
    ceremonies: Ceremonies
    clock: Callable[[], float]


class Elsewhere(Exception):  # noqa: N818 - a way to go, not a fault
    """Something else comes first: the browser is led to `location`, a path of the portal.

    aiohttp's own redirects are not used: they rewrite the escapes of an address.
    """

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


class Visit:
    """One request: who asks, from where, on the way to what; and the answers that only differ in their content."""

    def __init__(self, portal: Portal, request: web.Request) -> None:
        self.portal = portal
        self.request = request
        self.form: Mapping[str, str] = {}
        self.sent: Mapping[str, Any] = {}
        known = cookies.browser_of(self._cookies)
        self.is_new_browser = known is None
        self.browser = known or csrf.new_browser()

    @property
    def accounts(self) -> Accounts:
        """The people and their sessions."""
        return self.portal.accounts

    @property
    def policy(self) -> Policy:
        """The lab's policy as it is now."""
        return self.portal.settings.policy

    @property
    def origin(self) -> str:
        """The portal's own origin."""
        return f"https://{self.policy.portal}"

    @cached_property
    def address(self) -> str:
        """Who asks, by what Traefik says: the last entry is its own, those before are the client's invention. Empty,
        which is in no network, where nothing is said: the connection's address would be Traefik's, which looks like
        one of the lab's own."""
        said = self.request.headers.getall("X-Forwarded-For", [])
        return said[-1].rpartition(",")[2].strip() if said else ""

    @property
    def agent(self) -> str:
        """The browser's name for itself, freed of what cannot be printed."""
        said = self.request.headers.get("User-Agent", "")
        return "".join(letter for letter in said if letter.isprintable())

    @cached_property
    def signed_in(self) -> tuple[str, Session] | None:
        """Token and session, by the same reading of the cookies as the forward-auth server's; None without one."""
        token, _ = take_session(self._cookies, self.accounts.session_of)
        session = self.accounts.session_of(token) if token else None
        return (token, session) if session else None

    def require_session(self) -> tuple[str, Session]:
        """Return token and session; the person is sent to sign in where there is none."""
        if self.signed_in is None:
            page = self.origin + self.request.path if self.request.method == "GET" else f"{self.origin}/account"
            raise Elsewhere(with_target("/", self.target or page, self.method))
        return self.signed_in

    @property
    def session(self) -> Session:
        """The session."""
        return self.require_session()[1]

    @property
    def token(self) -> str:
        """The session's token."""
        return self.require_session()[0]

    @property
    def person(self) -> Person:
        """Who is signed in."""
        person = self.accounts.person(self.session.user)
        if person is None:
            raise Elsewhere("/")
        return person

    @cached_property
    def target(self) -> str | None:
        """Where the person wants to go (`rd`), if that is an address of the lab."""
        return safe_target(self._said("rd"), self.policy.domain)

    @cached_property
    def method(self) -> str | None:
        """How it was asked for (`rm`): letters only."""
        said = self._said("rm") or ""
        return said.upper() if said.isascii() and said.isalpha() and len(said) <= 16 else None

    @property
    def going_to(self) -> str | None:
        """The title of the app behind the target, or its host."""
        if self.target is None or host_of(self.target) == self.policy.portal:
            return None
        host = host_of(self.target)
        return self.policy.route(host).title or host

    def here(self, path: str) -> str:
        """Return a portal path that keeps the target."""
        return with_target(path, self.target, self.method)

    def page(self, template: str, status: int = 200, *, refusal: Answer | None = None, **context: Any) -> web.Response:
        """Return a page of the portal; with a refusal its status, text and headers."""
        session = self.signed_in[1] if self.signed_in else None
        shared = {
            "lab": self.policy.title,
            "domain": self.policy.domain,
            "portal": self.policy.portal,
            "session": session,
            "csrf": csrf.issue(self.browser),
            "target": self.target,
            "method": self.method,
            "going_to": self.going_to,
            "ago": lambda then: ago(then, self.portal.clock()),
            "width": "narrow",
            "error": refusal.text if refusal else None,
            "wrong": refusal is not None and refusal.status in (400, 401),
            "notice": None,
            "nav_link": ("Account", "/account"),
        }
        text = self.portal.pages.render(template, {**shared, **context})
        response = web.Response(text=text, status=refusal.status if refusal else status, content_type="text/html")
        response.headers.update(refusal.headers if refusal else {})
        if self.is_new_browser:
            cookies.set_browser(response, self.browser)
        return response

    def message(
        self, heading: str, text: str, *, status: int = 200, links: tuple[tuple[str, str], ...] = ()
    ) -> web.Response:
        """Return a page that only says something. From status 400 on it is told as an error."""
        told: dict[str, Any] = {"heading": heading, "text": text, "links": links}
        return self.page("message.html", status, error=text if status >= 400 else None, **told)

    def go(self, location: str) -> web.Response:
        """Lead the browser on. 303: whatever was sent, it fetches the next page."""
        return web.Response(status=303, headers={"Location": location})

    def take(self, token: str, session: Session) -> None:
        """From here on in this request, this is the session."""
        self.__dict__["signed_in"] = (token, session)

    def begin(self, token: str, session: Session) -> None:
        """Take a new session; the one that this browser had before ends."""
        before = self.signed_in
        if before is not None:
            self.accounts.end_session(before[1].user, before[1].id)
        self.take(token, session)

    def keep(self, response: web.Response) -> web.Response:
        """Hand the browser the session that this request took."""
        cookies.set_session(response, self.policy.domain, self.token, self.session, self.portal.clock())
        return response

    @property
    def _cookies(self) -> str:
        return "; ".join(self.request.headers.getall("Cookie", []))

    def _said(self, name: str) -> str | None:
        found = self.form.get(name) or self.sent.get(name) or self.request.query.get(name)
        return found if isinstance(found, str) else None
