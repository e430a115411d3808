"""The portal's two cookies: the session's, which every host of the lab sends, and the forms', which only it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import csrf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web

    from ..accounts import Session

SESSION = "ez_session"
MAX_TRIED = 8


def named(header: str, name: str) -> list[str]:
    """Return the values of every cookie of that name, in the order sent.

    A neighbour can plant a second one with a longer path; none of them is to hide the real one. At most MAX_TRIED.
    """
    return list(_named(header, name))[:MAX_TRIED]


def _named(header: str, name: str) -> Iterator[str]:
    for part in header.split(";"):
        key, found, value = part.strip().partition("=")
        if found and key == name:
            yield value


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
