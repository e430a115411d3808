"""Signing in with a password, the page of those who are signed in, and signing out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..accounts import Refused
from . import cookies
from .onward import arrive, outcome_at
from .refusals import answer_to

if TYPE_CHECKING:
    from aiohttp import web

    from .refusals import Answer
    from .visit import Visit

WRONG = "User name and password do not fit together."


async def start(visit: Visit) -> web.Response:
    """GET /: the sign-in form; for those who are signed in, the way to the app or the list of what they may open."""
    if visit.signed_in is None:
        said = "You are signed out." if visit.request.query.get("done") == "signed-out" else None
        return _form(visit, notice=said)
    return _home(visit) if visit.target is None else arrive(visit)


async def sign_in(visit: Visit) -> web.Response:
    """POST / (user, password, remember, rd, rm): a new session, whatever the browser had before."""
    remember = visit.form.get("remember") == "yes"
    user = visit.form.get("user", "").strip().lower()
    try:
        token, session = await visit.accounts.sign_in(
            user, visit.form.get("password", ""), address=visit.address, agent=visit.agent, remember=remember
        )
    except Refused as refused:
        return _form(visit, answer_to(refused, WRONG), user=user, remember=remember)
    visit.begin(token, session)
    return visit.keep(arrive(visit))


async def sign_out_page(visit: Visit) -> web.Response:
    """GET /sign-out: a button; looking at an address signs nobody out."""
    return visit.page("sign_out.html")


async def sign_out(visit: Visit) -> web.Response:
    """POST /sign-out: end this session."""
    if visit.signed_in is not None:
        visit.accounts.end_session(visit.session.user, visit.session.id)
    return forget(visit)


def forget(visit: Visit) -> web.Response:
    """Return to the sign-in form with the session's cookie gone."""
    response = visit.go("/?done=signed-out")
    cookies.drop_session(response, visit.policy.domain)
    return response


def _form(
    visit: Visit, refusal: Answer | None = None, *, notice: str | None = None, user: str = "", remember: bool = False
) -> web.Response:
    return visit.page("sign_in.html", refusal=refusal, notice=notice, user=user[:64], remember=remember)


def _home(visit: Visit) -> web.Response:
    apps = []
    for route in visit.policy.routes.values():
        outcome = outcome_at(visit, f"https://{route.host}/")
        if route.host != visit.policy.portal and outcome in ("open", "second-step"):
            title = route.title or route.name or route.host
            apps.append({"host": route.host, "title": title, "asks_second_step": outcome == "second-step"})
    apps.sort(key=lambda app: str(app["title"]).casefold())
    return visit.page("home.html", person=visit.person, apps=apps, width="wide")
