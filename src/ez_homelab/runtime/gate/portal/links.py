"""One-time links: looking changes nothing (mail programs open links by themselves), the button uses the link up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..accounts import LinkInfo, Refused
from .refusals import Answer, answer_to

if TYPE_CHECKING:
    from aiohttp import web

    from .visit import Visit

MISTYPED = "The two passwords are not the same."

_WORDS = {
    "invite": ("Welcome to {lab}", "You are invited as {user}. Choose a password, and you are in."),
    "reset": ("Choose a new password", "For {user}. The old password does not work from then on."),
    "login": ("Sign in", "With this link you sign in as {user} without a password."),
}


async def look(visit: Visit) -> web.Response:
    """GET /link/<token>: what the link is for."""
    found = await visit.accounts.open_link(_token(visit))
    return _gone(visit) if found is None else _form(visit, found)


async def use(visit: Visit) -> web.Response:
    """POST /link/<token> (new_password, new_password_again): signed in, and the link is used up."""
    found = await visit.accounts.open_link(_token(visit))
    if found is None:
        return _gone(visit)
    password = None if found.purpose == "login" else visit.form.get("new_password", "")
    if password is not None and password != visit.form.get("new_password_again", ""):
        return _form(visit, found, Answer(400, MISTYPED))
    try:
        token, session = await visit.accounts.use_link(
            _token(visit), password, address=visit.address, agent=visit.agent
        )
    except Refused as refused:
        if refused.reason not in ("weak", "busy", "locked"):
            return _gone(visit)
        return _form(visit, found, answer_to(refused, MISTYPED))
    visit.begin(token, session)
    return visit.keep(visit.go("/"))


def _token(visit: Visit) -> str:
    return visit.request.match_info["token"]


def _form(visit: Visit, found: LinkInfo, refusal: Answer | None = None) -> web.Response:
    heading, text = (said.format(lab=visit.policy.title, user=found.user) for said in _WORDS[found.purpose])
    return visit.page(
        "link.html",
        refusal=refusal,
        heading=heading,
        text=text,
        here=visit.request.path,
        link_user=found.user,
        asks_password=found.purpose != "login",
    )


def _gone(visit: Visit) -> web.Response:
    return visit.message(
        "This link does not work",
        "It was used before, it has expired, or a part of it is missing. Ask whoever runs this lab for a new one.",
        status=410,
        links=(("Sign in", "/"),),
    )
