"""The portal as an aiohttp application: every address that it answers to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aiohttp import web

from . import account, guard, links, passkey_handlers, second_factor, sign_in
from .headers import KEPT_BY_BROWSERS
from .pages import Pages
from .passkeys import Ceremonies, Challenges
from .visit import Portal, Visit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..accounts import Accounts
    from ..clock import Clock
    from ..settings import Settings

    Answer = Callable[[Visit], Awaitable[web.Response]]

LOOKS: dict[str, Answer] = {
    "/": sign_in.start,
    "/account": account.show,
    "/confirm": second_factor.confirm_page,
    "/link/{token}": links.look,
    "/second-factor": second_factor.ask,
    "/second-factor/set-up": second_factor.set_up,
    "/sign-out": sign_in.sign_out_page,
}
CHANGES: dict[str, Answer] = {
    "/": sign_in.sign_in,
    "/account/passkeys/remove": account.remove_passkey,
    "/account/passkeys/rename": account.rename_passkey,
    "/account/password": account.change_password,
    "/account/recovery-codes": account.new_recovery_codes,
    "/account/sessions/end": account.end_session,
    "/account/sessions/end-all": account.end_all,
    "/account/totp/remove": account.remove_totp,
    "/confirm": second_factor.confirm,
    "/link/{token}": links.use,
    "/passkeys/add": passkey_handlers.add,
    "/passkeys/add/options": passkey_handlers.options_to_add,
    "/passkeys/second-factor": passkey_handlers.second_factor,
    "/passkeys/second-factor/options": passkey_handlers.options_for_second_factor,
    "/passkeys/sign-in": passkey_handlers.sign_in,
    "/passkeys/sign-in/options": passkey_handlers.options_to_sign_in,
    "/second-factor": second_factor.check,
    "/second-factor/set-up": second_factor.finish,
    "/sign-out": sign_in.sign_out,
}

FOR_EVERYBODY = frozenset({"/", "/link/{token}", "/passkeys/sign-in", "/passkeys/sign-in/options", "/sign-out"})
"""All other addresses above are for people who are signed in; whoever is not is led to sign in first."""

SERVER_LIMITS = {
    "max_line_size": 8190,
    "max_field_size": 65_536,
    "max_headers": 64,
    "keepalive_timeout": 120.0,
    "auto_decompress": False,
}
"""For the server that runs the application (`web.AppRunner(app, **SERVER_LIMITS)`). A field may be as large as for the
forward-auth server: cookies that some app gave to the whole domain must not keep people from signing in. Traefik keeps
an idle connection for 90 s; the portal waits longer, so that it never closes one that Traefik is about to use. No
browser packs a form, and unpacking what a stranger sends takes the processor from everybody's requests."""


def make_portal(
    accounts: Accounts, settings: Settings, *, clock: Clock = time.time, body_seconds: float = 10
) -> web.Application:
    """Return the portal. `clock`: seconds since 1970; `body_seconds`: how long a browser may take to send a form."""
    app = web.Application(middlewares=[*guard.ORDER], client_max_size=guard.LARGEST_BODY)
    app[guard.PORTAL] = Portal(accounts, settings, Pages(), Ceremonies(Challenges(clock)), clock)
    app[guard.BODY_SECONDS] = body_seconds
    app[guard.UNDER_WAY] = set()
    for path, answer in LOOKS.items():
        app.router.add_get(path, _handler(path, answer))
    for path, answer in CHANGES.items():
        app.router.add_post(path, _handler(path, answer))
    app.router.add_get(guard.HEALTH, _health)
    app.router.add_get("/static/{name}", _static)
    return app


def _handler(path: str, answer: Answer) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        visit = guard.visit_of(request)
        if path not in FOR_EVERYBODY:
            visit.require_session()
        return await answer(visit)

    return handle


async def _health(_request: web.Request) -> web.Response:
    return web.json_response({"status": "OK"})


async def _static(request: web.Request) -> web.Response:
    found = request.app[guard.PORTAL].pages.files.get(request.match_info["name"])
    if found is None:
        raise web.HTTPNotFound
    kept = KEPT_BY_BROWSERS if request.query.get("v") == found.version else "no-cache"
    return web.Response(body=found.content, content_type=found.kind, charset="utf-8", headers={"Cache-Control": kept})
