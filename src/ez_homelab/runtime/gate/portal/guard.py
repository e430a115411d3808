"""What stands in front of every handler: limits, locks on forms, headers on every answer, and no trace in any."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from aiohttp import hdrs, web

from ..accounts import Refused
from ..decide import plain_host
from . import csrf
from .headers import security_headers
from .redirects import with_target
from .refusals import answer_to
from .visit import Elsewhere, Portal, Visit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger("gate.portal")

PORTAL: web.AppKey[Portal] = web.AppKey("portal", Portal)
BODY_SECONDS: web.AppKey[float] = web.AppKey("body_seconds", float)
UNDER_WAY: web.AppKey[set[int]] = web.AppKey("under_way", set)
VISIT: web.RequestKey[Visit] = web.RequestKey("visit", Visit)

MOST_AT_ONCE = 2_000
"""Requests. Each takes some 16 KiB and an open file of the process that also answers for every app: whoever sends
thousands of forms slowly may keep others from signing in, but nobody from the apps."""
CROWDED_SECONDS = 5
LARGEST_BODY = 65536
MOST_FIELDS = 32
HEALTH = "/api/health"
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"

_SAID = {
    400: ("This request makes no sense", "Your browser sent something that this page does not understand."),
    404: ("There is nothing here", "This address leads nowhere. The link may be old or mistyped."),
    405: ("There is nothing here", "This address cannot be used like that."),
    408: ("That took too long", "What your browser sent arrived too slowly. Try again."),
    413: ("That is too much", "What your browser sent is larger than any form of this page."),
    415: ("This request makes no sense", "Your browser sent something that this page does not understand."),
    421: ("Wrong address", "This page answers only under its own name."),
}
_NOT_OURS = (
    "This form has expired",
    "It was open for too long, or it did not come from this page. Go back, reload the page and try again.",
)
_BROKEN = (
    "Something went wrong",
    "The sign-on of this lab made a mistake. Try again in a moment.",
)


def visit_of(request: web.Request) -> Visit:
    """Return the visit that the guard has made for a request."""
    return request[VISIT]


@web.middleware
async def headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give every answer the security headers; what says itself how long it may be kept, keeps that."""
    portal = request.app[PORTAL]
    response = await handler(request)
    for name, value in security_headers(portal.settings.policy.domain).items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Server", "gate")
    return response


@web.middleware
async def answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every way to fail into a page, or into JSON for the passkey script."""
    visit = request[VISIT] = Visit(request.app[PORTAL], request)
    try:
        return await handler(request)
    except Refused as refused:
        return _refused(visit, refused)
    except Elsewhere as elsewhere:
        return _elsewhere(visit, elsewhere.location)
    except web.HTTPException as fault:
        heading, text = _NOT_OURS if fault.status == 403 else _SAID.get(fault.status, _SAID[400])
        return _failed(visit, fault.status, heading, text, fault.headers.get(hdrs.ALLOW))
    except Exception as fault:  # noqa: BLE001 - whatever it is: nobody gets in by it, and nobody reads more than that
        # Where it happened, but not its text: that may hold what somebody typed.
        where = "".join(traceback.format_tb(fault.__traceback__))
        log.error("%s %s: %s\n%s", request.method, _pattern(request), type(fault).__name__, where)
        return _failed(visit, 500, *_BROKEN)


@web.middleware
async def crowd(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send away what is too many at once, but not the health check: a portal that is unwell has no route at all."""
    under_way = request.app[UNDER_WAY]
    if len(under_way) >= MOST_AT_ONCE and request.path != HEALTH:
        raise Refused("busy", CROWDED_SECONDS)
    under_way.add(id(request))
    try:
        return await handler(request)
    finally:
        under_way.discard(id(request))


@web.middleware
async def locks(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let only the portal's own forms and script change something."""
    visit = visit_of(request)
    if request.path != HEALTH and plain_host(request.host, visit.policy.domain) != visit.policy.portal:
        raise web.HTTPMisdirectedRequest
    if request.method in ("GET", "HEAD"):
        return await handler(request)
    if visit.is_new_browser or not csrf.sent_by(request.headers, visit.origin):
        raise web.HTTPForbidden
    if not csrf.fits(visit.browser, await _read(visit)):
        raise web.HTTPForbidden
    return await handler(request)


ORDER = (headers, answers, crowd, locks)
"""The first is outermost."""


async def _read(visit: Visit) -> str:
    """Read what was sent into the visit and return the token that came with it."""
    request = visit.request
    try:
        async with asyncio.timeout(request.app[BODY_SECONDS]):
            body = await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    try:
        if request.content_type == _FORM:
            visit.form = _fields(body)
            return visit.form.get(csrf.FIELD, "")
        if request.content_type == _JSON:
            visit.sent = _document(body)
            return request.headers.get(csrf.HEADER, "")
    except (ValueError, RecursionError):
        raise web.HTTPBadRequest from None
    raise web.HTTPUnsupportedMediaType


def _fields(body: bytes) -> Mapping[str, str]:
    found = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    fields = dict(found)
    if len(fields) != len(found):
        raise ValueError("a field came twice")
    return fields


def _document(body: bytes) -> dict[str, Any]:
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError("no object")
    return document


def _pattern(request: web.Request) -> str:
    """The address without what is secret in it: a link's token."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "?"


def _is_script(visit: Visit) -> bool:
    return visit.request.path.startswith("/passkeys/")


def _refused(visit: Visit, refused: Refused) -> web.Response:
    second_step = with_target("/second-factor", f"{visit.origin}/account", None)
    places = {"stale": "/confirm?next=account", "second-factor": second_step, "gone": "/"}
    if refused.reason in places and not _is_script(visit):
        return visit.go(places[refused.reason])
    answer = answer_to(refused, wrong="That did not fit. Try again.")
    response = _failed(visit, answer.status, "That did not work", answer.text)
    response.headers.update(answer.headers)
    return response


def _elsewhere(visit: Visit, location: str) -> web.Response:
    if _is_script(visit):
        return web.json_response({"error": "You are no longer signed in: reload the page."}, status=401)
    return visit.go(location)


def _failed(visit: Visit, status: int, heading: str, text: str, allow: str | None = None) -> web.Response:
    if _is_script(visit) or visit.request.path == HEALTH:
        response = web.json_response({"error": text}, status=status)
    else:
        response = visit.message(heading, text, status=status, links=(("To the start", "/"),))
    if allow:
        response.headers[hdrs.ALLOW] = allow
    return response
