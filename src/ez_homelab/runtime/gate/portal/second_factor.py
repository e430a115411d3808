"""The second step: a code, a recovery code, or setting up an authenticator app; and giving the password once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..accounts import Refused
from .onward import arrive
from .pages import in_groups, qr_code
from .redirects import with_target
from .refusals import answer_to
from .visit import Elsewhere

if TYPE_CHECKING:
    from aiohttp import web

    from .visit import Visit

WRONG_CODE = "This code does not fit. Wait for the next one and try that."
WRONG_RECOVERY = "This recovery code does not fit, or it was used before."
WRONG_PASSWORD = "This is not your password."  # noqa: S105 - a sentence

NEXT = {"account": "/account", "set-up": "/second-factor/set-up"}


async def ask(visit: Visit) -> web.Response:
    """GET /second-factor: the form; setting up, where there is nothing to ask for yet."""
    if visit.session.factors > 1:
        return arrive(visit)
    if not visit.accounts.second_factors(visit.session.user).any:
        return visit.go(visit.here("/second-factor/set-up"))
    return _form(visit)


async def check(visit: Visit) -> web.Response:
    """POST /second-factor (code or recovery_code, rd, rm)."""
    token = visit.token
    recovery = visit.form.get("recovery_code")
    try:
        if recovery is None:
            raised = await visit.accounts.check_totp(token, _digits(visit.form.get("code", "")), visit.address)
        else:
            raised = await visit.accounts.check_recovery(token, recovery.strip(), visit.address)
    except Refused as refused:
        if refused.reason == "gone":
            raise
        return _form(visit, refused, "code" if recovery is None else "recovery")
    visit.take(*raised)
    return visit.keep(arrive(visit))


async def set_up(visit: Visit) -> web.Response:
    """GET /second-factor/set-up: QR code, the secret as text, one code to confirm."""
    _check_may_enrol(visit)
    if visit.accounts.second_factors(visit.session.user).totp:
        return visit.go("/account")
    return _set_up_page(visit)


async def finish(visit: Visit) -> web.Response:
    """POST /second-factor/set-up (code, rd, rm): two factors from here on, and the recovery codes once."""
    _check_may_enrol(visit)
    try:
        token, session, codes = await visit.accounts.finish_totp(visit.token, _digits(visit.form.get("code", "")))
    except Refused as refused:
        if refused.reason not in ("wrong", "locked", "busy"):
            raise
        return _set_up_page(visit, refused)
    visit.take(token, session)
    if not codes:
        return visit.keep(arrive(visit) if visit.target else visit.go("/account?done=app-on"))
    return visit.keep(codes_page(visit, codes, "Your authenticator app is on."))


def codes_page(visit: Visit, codes: tuple[str, ...], notice: str) -> web.Response:
    """Return the page that shows recovery codes, this once."""
    onward = with_target("/", visit.target, visit.method) if visit.target else "/account"
    return visit.page("recovery_codes.html", codes=codes, onward=onward, notice=notice)


async def confirm_page(visit: Visit) -> web.Response:
    """GET /confirm: the password once more."""
    return _confirm(visit)


async def confirm(visit: Visit) -> web.Response:
    """POST /confirm (password, next, rd, rm): the session is fresh again."""
    try:
        await visit.accounts.verify_password(visit.session, visit.form.get("password", ""), visit.address)
    except Refused as refused:
        if refused.reason == "gone":
            raise
        return _confirm(visit, refused)
    return visit.go(visit.here(NEXT[_next(visit)]))


def _check_may_enrol(visit: Visit) -> None:
    """Send away whoever has to do something else first."""
    session = visit.session
    if not visit.accounts.may_enrol(session, visit.address):
        raise Refused("second-factor" if visit.accounts.second_factors(session.user).any else "forbidden")
    if not visit.accounts.is_fresh(session):
        raise Elsewhere(with_target("/confirm?next=set-up", visit.target, visit.method))


def _set_up_page(visit: Visit, refused: Refused | None = None) -> web.Response:
    offer = visit.accounts.begin_totp(visit.session)
    return _told(
        visit, "set_up.html", refused, WRONG_CODE, qr=qr_code(offer.uri), secret_in_groups=in_groups(offer.secret)
    )


def _form(visit: Visit, refused: Refused | None = None, kind: str = "code") -> web.Response:
    factors = visit.accounts.second_factors(visit.session.user)
    wrong = WRONG_RECOVERY if kind == "recovery" else WRONG_CODE
    return _told(visit, "second_factor.html", refused, wrong, factors=factors, kind=kind)


def _confirm(visit: Visit, refused: Refused | None = None) -> web.Response:
    return _told(visit, "confirm.html", refused, WRONG_PASSWORD, next=_next(visit))


def _next(visit: Visit) -> str:
    said = visit.form.get("next") or visit.request.query.get("next")
    return said if said in NEXT else "account"


def _told(visit: Visit, template: str, refused: Refused | None, wrong: str, **context: Any) -> web.Response:
    return visit.page(template, refusal=answer_to(refused, wrong) if refused else None, **context)


def _digits(code: str) -> str:
    return "".join(letter for letter in code if letter.isascii() and letter.isdigit())
