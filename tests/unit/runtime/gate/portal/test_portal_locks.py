from __future__ import annotations

import asyncio
import gzip
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from aiohttp import web
from portal_world import ORIGIN, PASSWORD, PORTAL, Browser, World

from ez_homelab.runtime.gate.portal import guard
from ez_homelab.runtime.gate.portal.app import CHANGES, LOOKS, SERVER_LIMITS, make_portal

if TYPE_CHECKING:
    from collections.abc import Callable

PATHS = sorted(path.replace("{token}", "abc") for path in CHANGES)
APP = "https://photos.lab.localhost"


async def _send(browser: Browser, path: str, **headers: str) -> int:
    """Send what the path takes: a form, or JSON from the script."""
    page = await (browser.send if path.startswith("/passkeys/") else browser.post)(path, {}, **headers)
    assert page.status != 403 or "expired" in page.words or "did not come" in page.words
    return page.status


async def test_a_form_without_its_token_changes_nothing(browser: Browser) -> None:
    await browser.sign_in()
    answers = {}
    for path in PATHS:
        browser.token = ""
        answers[path] = await _send(browser, path)
    assert answers == dict.fromkeys(PATHS, 403)


async def test_a_form_with_the_token_of_another_browser_changes_nothing(world: World) -> None:
    mine, other = world.browser(), world.browser()
    await mine.sign_in()
    await other.get("/")
    answers = {}
    for path in PATHS:
        mine.token = other.token
        answers[path] = await _send(mine, path)
    assert answers == dict.fromkeys(PATHS, 403)


async def test_a_form_without_the_cookie_that_it_is_bound_to_changes_nothing(browser: Browser) -> None:
    await browser.sign_in()
    session = browser.cookies["ez_session"]
    answers = {path: await _send(browser, path, Cookie=f"ez_session={session}") for path in PATHS}
    assert answers == dict.fromkeys(PATHS, 403)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": APP},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "same-site"},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
async def test_a_form_of_another_page_changes_nothing_even_with_a_good_token(
    browser: Browser, headers: dict[str, str]
) -> None:
    await browser.sign_in()
    answers = {path: await _send(browser, path, **headers) for path in PATHS}
    assert answers == dict.fromkeys(PATHS, 403)


async def test_the_portals_own_forms_are_read(browser: Browser) -> None:
    await browser.get("/")
    answers = {path: await _send(browser, path, **{"Sec-Fetch-Site": "same-origin"}) for path in PATHS}
    assert 403 not in answers.values()
    assert 500 not in answers.values()


async def test_every_route_that_takes_something_is_listed(world: World) -> None:
    routes = {(route.method, route.resource.canonical) for route in world.client.app.router.routes() if route.resource}
    assert {path for method, path in routes if method not in ("GET", "HEAD")} == set(CHANGES)
    assert {method for method, _ in routes} == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_other_methods_are_refused(browser: Browser, method: str) -> None:
    page = await browser._ask(method, "/account", None, {})
    assert page.status in (403, 405)


async def test_a_body_larger_than_any_form_is_refused(browser: Browser) -> None:
    await browser.get("/")
    page = await browser.post("/", {"user": "x" * guard.LARGEST_BODY})
    assert page.status == 413


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/xml", "text/json"])
async def test_only_forms_and_json_are_read(browser: Browser, kind: str) -> None:
    await browser.get("/")
    body = f"csrf={browser.token}&user=anna&password=x".encode()
    page = await browser._ask("POST", "/", body, {"Content-Type": kind, "X-CSRF-Token": browser.token})
    assert page.status == 415


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"csrf={}&user=anna&user=ben"),
        ("application/x-www-form-urlencoded", b"csrf={}&user=%ff%fe"),
        ("application/x-www-form-urlencoded", b"csrf={}&user=\xff"),
        ("application/x-www-form-urlencoded", b"csrf={}&" + b"&".join(b"a%d=1" % at for at in range(200))),
        ("application/json", b""),
        ("application/json", b"[]"),
        ("application/json", b"{"),
        ("application/json", b"\xff"),
        ("application/json", b"[" * 60000),
    ],
)
async def test_what_no_browser_sends_is_refused(browser: Browser, kind: str, body: bytes) -> None:
    await browser.get("/")
    body = body.replace(b"{}", browser.token.encode())
    headers = {"Content-Type": kind, "X-CSRF-Token": browser.token}
    assert (await browser._ask("POST", "/", body, headers)).status == 400


async def test_a_body_that_trickles_in_is_not_waited_for(world: World, browser: Browser) -> None:
    await browser.get("/")
    reader, writer = await asyncio.open_connection("127.0.0.1", world.client.port)
    cookie = f"__Host-ez_form={browser.cookies['__Host-ez_form']}"
    head = f"POST / HTTP/1.1\r\nHost: {PORTAL}\r\nCookie: {cookie}\r\nContent-Length: 900\r\n"
    writer.write((head + "Content-Type: application/x-www-form-urlencoded\r\n\r\ncsrf=").encode())
    assert b" 408 " in await reader.readline()
    writer.close()


async def _answered_as_it_is_run(world: World, head: str, body: bytes = b"") -> bytes:
    """The first line of the answer by the portal as the gate runs it, with its limits."""
    portal = web.AppRunner(make_portal(world.accounts, world.accounts._settings), **SERVER_LIMITS)
    await portal.setup()
    await web.TCPSite(portal, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection("127.0.0.1", portal.addresses[0][1])
    writer.write(f"{head}\r\nHost: {PORTAL}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    line = await reader.readline()
    writer.close()
    await portal.cleanup()
    return line


@pytest.mark.parametrize(
    "header", ["X-Long: " + "x" * 70_000, "Cookie: " + "a=b; " * 14_000, "A: b\r\n" * 129 + "A: b"]
)
async def test_headers_beyond_all_measure_are_refused(world: World, header: str) -> None:
    assert b" 400 " in await _answered_as_it_is_run(world, f"GET / HTTP/1.1\r\n{header}")


async def test_beyond_so_many_requests_at_once_one_more_is_sent_away_and_later_it_is_not(
    world: World, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "MOST_AT_ONCE", 1)
    await browser.get("/")
    reader, writer = await asyncio.open_connection("127.0.0.1", world.client.port)
    cookie = f"__Host-ez_form={browser.cookies['__Host-ez_form']}"
    head = f"POST / HTTP/1.1\r\nHost: {PORTAL}\r\nCookie: {cookie}\r\nContent-Length: 900\r\n"
    writer.write((head + "Content-Type: application/x-www-form-urlencoded\r\n\r\n").encode())
    for _ in range(50):
        page = await browser.get("/")
        if page.status != 200:
            break
    assert (page.status, page.headers["Retry-After"]) == (503, "5")
    assert (await browser.get("/api/health")).status == 200

    assert b" 408 " in await reader.readline()
    assert (await browser.get("/")).status == 200
    writer.close()


async def test_cookies_that_reach_the_apps_reach_the_portal_too(world: World) -> None:
    cookies = "; ".join(f"planted{number}={'x' * 4000}" for number in range(15))

    assert b" 200 " in await _answered_as_it_is_run(world, f"GET / HTTP/1.1\r\nCookie: {cookies}")


async def test_a_packed_form_is_not_unpacked(world: World, browser: Browser) -> None:
    await browser.get("/")
    cookie = f"__Host-ez_form={browser.cookies['__Host-ez_form']}"
    head = f"POST / HTTP/1.1\r\nCookie: {cookie}\r\nContent-Type: application/x-www-form-urlencoded"
    form = urlencode({"csrf": browser.token, "user": "anna", "password": PASSWORD}).encode()

    assert b" 303 " in await _answered_as_it_is_run(world, head, form)
    assert b" 400 " in await _answered_as_it_is_run(world, f"{head}\r\nContent-Encoding: gzip", gzip.compress(form))


@pytest.mark.parametrize(
    "host", ["photos.lab.localhost", "evil.example", "auth.lab.localhost.evil.example", "127.0.0.1"]
)
async def test_the_portal_answers_only_under_its_own_name(browser: Browser, host: str) -> None:
    page = await browser.get("/", Host=host)
    assert page.status == 421
    assert "password" not in page.text


@pytest.mark.parametrize("host", [PORTAL, PORTAL.upper(), f"{PORTAL}:443"])
async def test_its_own_name_may_be_written_in_other_ways(browser: Browser, host: str) -> None:
    assert (await browser.get("/", Host=host)).status == 200


async def test_health_is_answered_under_any_name(browser: Browser) -> None:
    page = await browser.get("/api/health", Host="localhost:9091")
    assert (page.status, page.document) == (200, {"status": "OK"})


async def _too_large(browser: Browser) -> Any:
    await browser.get("/")
    return await browser.post("/", {"user": "x" * guard.LARGEST_BODY})


ANSWERS: dict[str, tuple[int, Callable[[Browser], Any]]] = {
    "a page": (200, lambda browser: browser.get("/")),
    "a redirect": (303, lambda browser: browser.get("/account")),
    "nothing there": (404, lambda browser: browser.get("/nothing")),
    "no such method": (405, lambda browser: browser._ask("HEAD", "/account/password", None, {})),
    "a form refused": (403, lambda browser: browser.post("/", {"user": "anna"})),
    "too large": (413, _too_large),
    "a used link": (410, lambda browser: browser.get("/link/abc")),
    "health": (200, lambda browser: browser.get("/api/health")),
    "another host": (421, lambda browser: browser.get("/", Host="evil.example")),
    "a file": (200, lambda browser: browser.get("/static/portal.css")),
    "no file": (404, lambda browser: browser.get("/static/portal.py")),
    "the script's": (403, lambda browser: browser.send("/passkeys/sign-in/options")),
    "a crash": (500, lambda browser: browser.get("/link/crash")),
}


@pytest.mark.parametrize("what", ANSWERS)
async def test_every_answer_has_the_security_headers(
    world: World, browser: Browser, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(_: str) -> Any:
        raise RuntimeError("secret")

    if what == "a crash":
        monkeypatch.setattr(world.accounts, "open_link", crash)
    status, ask = ANSWERS[what]
    page = await ask(browser)
    assert page.status == status
    policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["form-action"] == "'self' https://lab.localhost https://*.lab.localhost"
    assert policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert page.headers["Server"] == "gate"
    assert page.headers["Cache-Control"] == ("no-cache" if what == "a file" else "no-store")


async def test_a_file_is_kept_by_browsers_until_it_changes(browser: Browser) -> None:
    address = re.search(r'href="(/static/portal\.css\?v=\w+)"', (await browser.get("/")).text)
    assert address
    page = await browser.get(address[1])
    assert "immutable" in page.headers["Cache-Control"]
    assert page.headers["Content-Type"].startswith("text/css")
    assert (await browser.get("/static/portal.css?v=old")).headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static//etc/passwd"]
)
async def test_only_the_portals_own_files_are_served(browser: Browser, path: str) -> None:
    assert (await browser.get(path)).status == 404


async def test_a_crash_shows_no_trace_and_logs_no_secret(
    world: World, browser: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def crash(user: str, password: str, **_: Any) -> Any:
        raise RuntimeError(f"{user} {password}")

    monkeypatch.setattr(world.accounts, "sign_in", crash)
    page = await browser.sign_in()
    assert page.status == 500
    assert "Traceback" not in page.text
    assert "RuntimeError" not in page.text
    assert PASSWORD not in caplog.text
    assert "RuntimeError" in caplog.text


async def test_a_links_token_is_not_logged(
    world: World, browser: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def crash(_: str) -> Any:
        raise RuntimeError

    monkeypatch.setattr(world.accounts, "open_link", crash)
    await browser.get("/link/very-secret")
    assert "/link/{token}" in caplog.text
    assert "very-secret" not in caplog.text


@pytest.mark.parametrize("signed_in", [False, True])
async def test_pages_hold_no_script_or_style_of_their_own_and_name_every_field(
    world: World, browser: Browser, signed_in: bool
) -> None:
    if signed_in:
        await browser.sign_in()
    token, _ = world.accounts.make_link("ben", "invite", 10)
    for path in [*LOOKS, "/nothing"]:
        page = await browser.get(path.replace("{token}", token))
        for script in re.findall(r"<script[^>]*>", page.text):
            assert 'src="/static/' in script
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page.text)
        assert not re.search(r'(src|href)="(https?:)?//', page.text.replace('href="https://', "", 0)) or path == "/"
        shown = re.findall(r'<input(?![^>]*(?:type="hidden"|\shidden))[^>]*\sid="([^"]+)"', page.text)
        assert all(f'for="{name}"' in page.text for name in shown)


async def test_a_forged_chain_of_addresses_does_not_bring_anyone_into_the_lan(world: World) -> None:
    browser = world.browser("192.168.1.20, 203.0.113.9")
    page = await browser.sign_in(rd="https://metrics.lab.localhost/")
    assert page.status == 403
    assert [one.address for one in world.accounts.sessions("anna")] == ["203.0.113.9"]


@pytest.mark.parametrize("said", ["", " ", "203.0.113.9, "])
async def test_whoever_no_proxy_speaks_for_is_not_in_the_lan(world: World, said: str) -> None:
    browser = world.browser(said)
    page = await browser.sign_in(rd="https://metrics.lab.localhost/")
    assert page.status == 403
    assert [one.address for one in world.accounts.sessions("anna")] == [""]


async def test_a_browsers_name_is_kept_short_and_plain(world: World, browser: Browser) -> None:
    browser.headers["User-Agent"] = "x" * 5000
    await browser.sign_in()
    assert len(world.accounts.sessions("anna")[0].agent) <= 300
