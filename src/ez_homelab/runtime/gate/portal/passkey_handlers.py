"""What the passkey script asks for. Answers are JSON: `{"location": ...}` or `{"error": ...}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from ..accounts import Refused
from ..passkeys import LONGEST_NAME
from . import passkeys
from .onward import outcome_at
from .redirects import may_follow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..accounts import Passkey
    from .visit import Visit


async def options_to_add(visit: Visit) -> web.Response:
    """POST /passkeys/add/options."""
    _check_may_add(visit)
    accounts, user = visit.accounts, visit.session.user
    return web.json_response(
        visit.portal.ceremonies.ask_to_make(
            visit.browser,
            visit.policy.domain,
            visit.policy.title,
            visit.person,
            accounts.user_handle(user),
            accounts.passkeys(user),
        )
    )


async def add(visit: Visit) -> web.Response:
    """POST /passkeys/add (credential, name)."""
    _check_may_add(visit)
    made = visit.portal.ceremonies.made(_credential(visit), visit.browser, visit.policy.domain, visit.origin)
    name = written_name(visit.sent.get("name"))
    visit.accounts.add_passkey(
        visit.session, made.credential_id, made.public_key, made.sign_count, name, made.transports
    )
    return _lead("/account?done=passkey-added")


async def options_to_sign_in(visit: Visit) -> web.Response:
    """POST /passkeys/sign-in/options: nobody is named, the device knows who it belongs to."""
    return web.json_response(visit.portal.ceremonies.ask_to_show("sign-in", visit.browser, visit.policy.domain))


async def sign_in(visit: Visit) -> web.Response:
    """POST /passkeys/sign-in (credential, rd, rm, remember)."""
    credential = _credential(visit)
    passkey = _known(visit, credential)
    shown = _shown(visit, credential, "sign-in", passkey)
    visit.begin(
        *await visit.accounts.sign_in_with_passkey(
            passkey.credential_id,
            shown.sign_count,
            user_verified=shown.user_verified,
            address=visit.address,
            agent=visit.agent,
            remember=visit.sent.get("remember") is True,
        )
    )
    return visit.keep(_lead(_location(visit)))


async def options_for_second_factor(visit: Visit) -> web.Response:
    """POST /passkeys/second-factor/options: only the signed-in person's own passkeys."""
    have = visit.accounts.passkeys(visit.session.user)
    return web.json_response(
        visit.portal.ceremonies.ask_to_show("second-factor", visit.browser, visit.policy.domain, have)
    )


async def second_factor(visit: Visit) -> web.Response:
    """POST /passkeys/second-factor (credential, rd, rm)."""
    credential = _credential(visit)
    passkey = _known(visit, credential)
    if passkey.user != visit.session.user:
        raise Refused("wrong")
    shown = _shown(visit, credential, "second-factor", passkey)
    visit.take(*await visit.accounts.raise_with_passkey(visit.token, passkey.credential_id, shown.sign_count))
    return visit.keep(_lead(_location(visit)))


def _check_may_add(visit: Visit) -> None:
    session = visit.session
    if not visit.accounts.may_enrol(session, visit.address):
        raise Refused("second-factor" if visit.accounts.second_factors(session.user).any else "forbidden")
    if not visit.accounts.is_fresh(session):
        raise Refused("stale")


def _credential(visit: Visit) -> Mapping[str, Any]:
    found = visit.sent.get("credential")
    if not isinstance(found, dict):
        raise Refused("wrong")
    return found


def _known(visit: Visit, credential: Mapping[str, Any]) -> Passkey:
    passkey = visit.accounts.passkey(passkeys.credential_id(credential))
    if passkey is None:
        raise Refused("wrong")
    handle = passkeys.user_handle(credential)
    if handle is not None and handle != visit.accounts.user_handle(passkey.user):
        raise Refused("wrong")
    return passkey


def _shown(visit: Visit, credential: Mapping[str, Any], purpose: passkeys.Purpose, passkey: Passkey) -> passkeys.Shown:
    return visit.portal.ceremonies.shown(credential, purpose, visit.browser, visit.policy.domain, visit.origin, passkey)


def written_name(said: object) -> str:
    """Return a passkey's name as it is kept: what can be seen of what somebody typed, and never nothing."""
    name = "".join(letter for letter in said if letter.isprintable()).strip() if isinstance(said, str) else ""
    return name[:LONGEST_NAME] or "Passkey"


def _location(visit: Visit) -> str:
    """Where the script leads the browser: straight on, or to the start page, which explains what is in the way."""
    if visit.target is None:
        return "/"
    if may_follow(visit.method) and outcome_at(visit, visit.target) == "open":
        return visit.target
    return visit.here("/")


def _lead(location: str) -> web.Response:
    return web.json_response({"location": location})
