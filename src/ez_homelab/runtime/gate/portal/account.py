"""The page on which people look after their own account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..accounts import Refused
from .links import MISTYPED
from .passkey_handlers import written_name
from .redirects import with_target
from .refusals import Answer, answer_to
from .second_factor import WRONG_PASSWORD, codes_page
from .sign_in import forget

if TYPE_CHECKING:
    from aiohttp import web

    from .visit import Visit

Obstacle = Literal["confirm", "second-factor", "not-here"]

_DONE = {
    "app-on": "Your authenticator app is on.",
    "app-off": "Your authenticator app is off.",
    "passkey-added": "Your passkey is ready. Next time you can sign in with it.",
    "passkey-removed": "The passkey is removed.",
    "passkey-renamed": "The passkey has its new name.",
    "password": "Your password is changed, and you are signed out everywhere else.",
    "session-ended": "That session has ended.",
}


async def show(visit: Visit) -> web.Response:
    """GET /account."""
    return _page(visit, notice=_DONE.get(visit.request.query.get("done", "")))


async def change_password(visit: Visit) -> web.Response:
    """POST /account/password (old_password, new_password, new_password_again)."""
    new = visit.form.get("new_password", "")
    if new != visit.form.get("new_password_again", ""):
        return _page(visit, Answer(400, MISTYPED))
    try:
        old = visit.form.get("old_password", "")
        visit.take(*await visit.accounts.change_password(visit.token, old, new, visit.address))
    except Refused as refused:
        if refused.reason in ("gone", "second-factor", "stale"):
            raise
        return _page(visit, answer_to(refused, WRONG_PASSWORD))
    return visit.keep(visit.go("/account?done=password"))


async def remove_totp(visit: Visit) -> web.Response:
    """POST /account/totp/remove."""
    visit.accounts.remove_totp(visit.session)
    return visit.go("/account?done=app-off")


async def new_recovery_codes(visit: Visit) -> web.Response:
    """POST /account/recovery-codes: new ones, shown this once."""
    return codes_page(visit, visit.accounts.new_recovery_codes(visit.session), "These are your new codes.")


async def remove_passkey(visit: Visit) -> web.Response:
    """POST /account/passkeys/remove (id)."""
    visit.accounts.remove_passkey(visit.session, visit.form.get("id", ""))
    return visit.go("/account?done=passkey-removed")


async def rename_passkey(visit: Visit) -> web.Response:
    """POST /account/passkeys/rename (id, name)."""
    name = written_name(visit.form.get("name"))
    visit.accounts.rename_passkey(visit.session, visit.form.get("id", ""), name)
    return visit.go("/account?done=passkey-renamed")


async def end_session(visit: Visit) -> web.Response:
    """POST /account/sessions/end (id)."""
    visit.accounts.end_session(visit.session.user, visit.form.get("id", ""))
    return visit.go("/account?done=session-ended")


async def end_all(visit: Visit) -> web.Response:
    """POST /account/sessions/end-all: this browser too."""
    visit.accounts.end_all(visit.session.user)
    return forget(visit)


def _page(visit: Visit, refusal: Answer | None = None, *, notice: str | None = None) -> web.Response:
    user = visit.session.user
    return visit.page(
        "account.html",
        width="wide",
        refusal=refusal,
        notice=notice,
        person=visit.person,
        factors=visit.accounts.second_factors(user),
        obstacle=_obstacle(visit),
        sessions=visit.accounts.sessions(user),
        second_step=with_target("/second-factor", f"{visit.origin}/account", None),
    )


def _obstacle(visit: Visit) -> Obstacle | None:
    """What has to be done before the person may change how they sign in."""
    accounts, session = visit.accounts, visit.session
    known = accounts.second_factors(session.user).any
    if known and session.factors < 2:
        return "second-factor"
    if not known and not accounts.may_enrol(session, visit.address):
        return "not-here"
    return None if accounts.is_fresh(session) else "confirm"
