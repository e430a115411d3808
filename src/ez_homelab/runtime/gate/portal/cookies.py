"""The portal's two cookies: the session's, which every host of the lab sends, and the forms', which only it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..cookies import SESSION
from . import csrf

if TYPE_CHECKING:
    from aiohttp import web

    from ..accounts import Session


def browser_of(header: str) -> str | None:
    """Return the forms' cookie of a Cookie header, if it is one that the portal could have made."""
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == csrf.COOKIE and csrf.is_browser(value):
            return value
    return None


def set_session(response: web.StreamResponse, domain: str, token: str, session: Session, now: float) -> None:
    """Hand the browser the token of a session. Without "stay signed in" the browser forgets it when it closes."""
    left = max(0, int(session.expires - now)) if session.remembered else None
    response.set_cookie(
        SESSION, token, domain=domain, path="/", max_age=left, secure=True, httponly=True, samesite="Lax"
    )


def drop_session(response: web.StreamResponse, domain: str) -> None:
    """Make the browser forget its session."""
    response.del_cookie(SESSION, domain=domain, path="/", secure=True, httponly=True, samesite="Lax")


def set_browser(response: web.StreamResponse, browser: str) -> None:
    """Hand the browser the cookie that its forms are bound to."""
    response.set_cookie(csrf.COOKIE, browser, path="/", secure=True, httponly=True, samesite="Lax")
