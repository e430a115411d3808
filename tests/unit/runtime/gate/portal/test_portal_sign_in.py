from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from portal_world import ABROAD, ORIGIN, PASSWORD, PORTAL, Browser, World

from ez_homelab.runtime.gate.accounts import Refused

if TYPE_CHECKING:
    from portal_world import Page

PHOTOS = "https://photos.lab.localhost/album?x=1"


def _without_tokens(text: str) -> str:
    return re.sub(r'(name="csrf" value|data-csrf)="[^"]+"', "", text)


async def test_the_form_tells_password_managers_what_is_what(browser: Browser) -> None:
    page = await browser.get("/")
    assert page.status == 200
    for expected in ('autocomplete="username"', 'autocomplete="current-password"', 'for="user"', 'for="password"'):
        assert expected in page.text


async def test_a_sign_in_leads_on_to_the_app(browser: Browser) -> None:
    await browser.get("/")
    page = await browser.post("/", {"user": "anna", "password": PASSWORD, "rd": PHOTOS, "rm": "GET"})
    assert (page.status, page.location) == (303, PHOTOS)
    cookie = page.set_cookies["ez_session"]
    assert cookie["domain"] == "lab.localhost"
    assert (cookie["path"], cookie["samesite"]) == ("/", "Lax")
    assert cookie["secure"]
    assert cookie["httponly"]
    assert cookie["max-age"] == ""


async def test_the_form_carries_the_app_along(browser: Browser) -> None:
    page = await browser.get("/?rd=https%3A%2F%2Fphotos.lab.localhost%2Falbum%3Fx%3D1&rm=GET")
    assert "to open Photos" in page.words
    assert f'name="rd" value="{PHOTOS}"' in page.text
    assert 'name="rm" value="GET"' in page.text


async def test_only_who_asks_stays_signed_in_when_the_browser_closes(browser: Browser) -> None:
    page = await browser.sign_in(remember="yes")
    assert 2_000_000 < int(page.set_cookies["ez_session"]["max-age"]) <= 2_592_000


async def test_a_user_name_is_taken_as_people_type_it(browser: Browser) -> None:
    assert (await browser.sign_in(" Anna ")).status == 303


@pytest.mark.parametrize("password", ["nearly", "", PASSWORD + " ", PASSWORD.upper(), "x" * 5000])
async def test_a_wrong_password_does_not_sign_in(browser: Browser, password: str) -> None:
    page = await browser.sign_in("anna", password)
    assert page.status == 401
    assert "do not fit together" in page.words
    assert "ez_session" not in browser.cookies


async def test_wrong_unknown_and_disabled_read_the_same(world: World) -> None:
    async def answer(user: str, password: str) -> tuple[int, str]:
        page = await world.browser().sign_in(user, password)
        return page.status, _without_tokens(page.text).replace(f'value="{user}"', "")

    wrong = await answer("anna", "wrong")
    assert await answer("nobody", "wrong") == wrong
    assert await answer("carl", PASSWORD) == wrong
    assert await answer("verify-00000000", "wrong") == wrong


async def test_what_was_typed_is_shown_as_text(browser: Browser) -> None:
    page = await browser.sign_in('"><script>alert(1)</script>', "x")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text


async def test_after_many_tries_one_has_to_wait(browser: Browser) -> None:
    pages = [await browser.sign_in("anna", "wrong") for _ in range(30)]
    locked = pages[-1]
    assert locked.status == 429
    assert int(locked.headers["Retry-After"]) > 0
    assert "Try again in" in locked.words
    assert (await browser.sign_in("anna", PASSWORD)).status == 429


async def test_when_too_many_sign_in_at_once_the_page_says_so(
    world: World, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: Any, **__: Any) -> Any:
        raise Refused("busy", 5)

    monkeypatch.setattr(world.accounts, "sign_in", busy)
    page = await browser.sign_in()
    assert (page.status, page.headers["Retry-After"]) == (503, "5")
    assert "Try again in 5 seconds" in page.words


@pytest.mark.parametrize(
    "evil",
    [
        "https://evil.example/",
        "//evil.example/",
        "https://lab.localhost.evil.example/",
        "https://photos.lab.localhost@evil.example/",
        "https:\\\\evil.example",
        "http://photos.lab.localhost/",
        "https://photos.lab.localhost:8443/",
        "javascript:alert(1)",
        "/\\evil.example",
        "https://photos.lab.localhost/\r\nX-Evil: 1",
    ],
)
async def test_a_sign_in_leads_nowhere_else(browser: Browser, evil: str) -> None:
    page = await browser.sign_in(rd=evil)
    assert (page.status, page.location) == (303, "/")
    assert (await browser.get(f"/?{urlencode({'rd': evil})}")).location == ""


async def test_who_is_signed_in_is_led_straight_on(browser: Browser) -> None:
    await browser.sign_in()
    page = await browser.get("/?rd=https%3A%2F%2Fphotos.lab.localhost%2F&rm=GET")
    assert (page.status, page.location) == (303, "https://photos.lab.localhost/")
    evil = await browser.get("/?rd=https%3A%2F%2Fevil.example%2F")
    assert (evil.status, evil.location) == (200, "")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "brew"])
async def test_what_was_sent_before_the_sign_in_is_never_sent_again(browser: Browser, method: str) -> None:
    page = await browser.sign_in(rd=PHOTOS, rm=method)
    assert (page.status, page.location) == (200, "")
    assert "was not sent" in page.words
    assert f'href="{PHOTOS.replace("&", "&amp;")}"' in page.text


async def test_a_session_brought_along_does_not_become_the_signed_in_one(world: World, browser: Browser) -> None:
    planted = "A" * 43
    browser.cookies["ez_session"] = planted
    await browser.sign_in()
    assert browser.cookies["ez_session"] != planted
    assert world.accounts.session_of(planted) is None


async def test_a_planted_session_cookie_counts_for_nothing_as_in_front_of_the_apps(browser: Browser) -> None:
    await browser.sign_in()
    real = browser.cookies["ez_session"]
    page = await browser.get("/", Cookie=f"ez_session=planted; ez_session={real}")
    assert "Hello" in page.words


async def test_signing_in_again_ends_the_session_before(world: World, browser: Browser) -> None:
    await browser.sign_in()
    before = browser.cookies["ez_session"]
    await browser.sign_in("ben")
    assert world.accounts.session_of(before) is None
    assert [one.user for one in world.accounts.sessions("ben")] == ["ben"]


async def test_the_start_page_lists_what_one_may_open(world: World) -> None:
    async def titles(user: str, address: str) -> list[str]:
        browser = world.browser(address)
        await browser.sign_in(user)
        return re.findall(r"<strong>([^<]+)</strong>", (await browser.get("/")).text)

    assert await titles("anna", "192.168.7.7") == ["Films", "Metrics", "Photos", "Vault"]
    assert await titles("ben", "192.168.7.8") == ["Films", "Photos", "Vault"]
    assert await titles("anna", ABROAD) == ["Films", "Photos"]


async def test_a_name_with_tags_in_it_stays_text(browser: Browser) -> None:
    await browser.sign_in()
    page = await browser.get("/")
    assert "Hello Anna <b>Smith</b>" in page.words or "Hello Anna &lt;b&gt;Smith" in page.text
    assert "<b>" not in page.text


@pytest.mark.parametrize(
    ("user", "address", "host", "said"),
    [
        ("anna", "192.168.1.20", "books", "Books is not open to you, anna"),
        ("anna", "192.168.1.20", "old", "Old thing is not open to you"),
        ("anna", ABROAD, "metrics", "only at home"),
        ("ben", "192.168.1.20", "metrics", "Metrics is not open to you, ben"),
        ("ben", ABROAD, "vault", "you have none yet"),
    ],
)
async def test_why_an_app_is_closed(world: World, user: str, address: str, host: str, said: str) -> None:
    page: Page = await world.browser(address).sign_in(user, rd=f"https://{host}.lab.localhost/")
    assert (page.status, page.location) == (403, "")
    assert said in page.words


async def test_an_app_with_a_second_step_leads_to_it(browser: Browser) -> None:
    page = await browser.sign_in(rd="https://metrics.lab.localhost/graph?a=1&b=2", rm="GET")
    assert page.status == 303
    assert page.location == "/second-factor?rd=https%3A%2F%2Fmetrics.lab.localhost%2Fgraph%3Fa%3D1%26b%3D2&rm=GET"


async def test_a_host_that_no_route_names_asks_for_one_factor(browser: Browser) -> None:
    page = await browser.sign_in(rd="https://handmade.lab.localhost/")
    assert page.location == "https://handmade.lab.localhost/"


async def test_looking_at_the_sign_out_page_signs_nobody_out(world: World, browser: Browser) -> None:
    await browser.sign_in()
    page = await browser.get("/sign-out")
    assert page.status == 200
    assert world.accounts.session_of(browser.cookies["ez_session"]) is not None


async def test_signing_out_ends_the_session_and_takes_the_cookie(world: World, browser: Browser) -> None:
    await browser.sign_in()
    token = browser.cookies["ez_session"]
    await browser.get("/")
    page = await browser.post("/sign-out")
    assert page.location == "/?done=signed-out"
    assert page.set_cookies["ez_session"]["domain"] == "lab.localhost"
    assert "ez_session" not in browser.cookies
    assert world.accounts.session_of(token) is None
    assert "You are signed out" in (await browser.get(page.location)).words


@pytest.mark.parametrize("path", ["/account", "/second-factor", "/second-factor/set-up", "/confirm"])
async def test_pages_of_an_account_ask_to_sign_in_and_come_back(browser: Browser, path: str) -> None:
    page = await browser.get(path)
    assert page.status == 303
    assert page.location.startswith("/?rd=https%3A%2F%2Fauth.lab.localhost%2F")
    signed = await browser.sign_in(rd=ORIGIN + path)
    assert signed.location == ORIGIN + path


async def test_a_session_of_somebody_who_is_gone_counts_for_nothing(world: World, browser: Browser) -> None:
    await browser.sign_in()
    world.accounts.end_all("anna")
    assert (await browser.get("/account")).status == 303
    assert "Sign in" in (await browser.get("/")).words


async def test_the_portal_itself_is_no_app(browser: Browser) -> None:
    page = await browser.get(f"/?rd=https%3A%2F%2F{PORTAL}%2Faccount")
    assert "to open" not in page.words
