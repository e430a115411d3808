from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from portal_world import ABROAD, PASSWORD, Browser, World

if TYPE_CHECKING:
    from portal_world import Page

NEW = "seven wet paper boats"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0"


async def _change(browser: Browser, old: str, new: str, again: str) -> Page:
    await browser.get("/account")
    return await browser.post(
        "/account/password", {"old_password": old, "new_password": new, "new_password_again": again}
    )


async def test_it_says_who_one_is(browser: Browser) -> None:
    await browser.sign_in()
    page = await browser.get("/account")
    assert page.status == 200
    for said in ("anna@example.org", "admins", "User name anna"):
        assert said in page.words
    assert "<b>Smith" not in page.text


async def test_a_new_password_signs_out_everywhere_else_and_changes_the_token(world: World, browser: Browser) -> None:
    other = world.browser()
    await other.sign_in()
    await browser.sign_in()
    before = browser.cookies["ez_session"]
    page = await _change(browser, PASSWORD, NEW, NEW)
    assert page.location == "/account?done=password"
    assert browser.cookies["ez_session"] != before
    assert world.accounts.session_of(before) is None
    assert "Your password is changed" in (await browser.get(page.location)).words
    assert (await other.get("/account")).status == 303
    assert (await world.browser().sign_in("anna", NEW)).status == 303


@pytest.mark.parametrize(
    ("old", "new", "again", "status", "said"),
    [
        ("wrong", NEW, NEW, 401, "not your password"),
        (PASSWORD, NEW, NEW + "x", 400, "not the same"),
        (PASSWORD, "short", "short", 400, "password"),
        (PASSWORD, "", "", 400, "password"),
    ],
)
async def test_a_password_that_does_not_do_changes_nothing(
    world: World, browser: Browser, old: str, new: str, again: str, status: int, said: str
) -> None:
    await browser.sign_in()
    page = await _change(browser, old, new, again)
    assert page.status == status
    assert said in page.words
    assert "<details open>" in page.text
    assert (await world.browser().sign_in("anna", PASSWORD)).status == 303


async def test_sessions_are_listed_with_browser_and_address(world: World, browser: Browser) -> None:
    abroad = world.browser(ABROAD)
    abroad.headers["User-Agent"] = FIREFOX
    await abroad.sign_in()
    world.clock.go_on(7200 - 60)
    await browser.sign_in()
    page = await browser.get("/account")
    assert f"Firefox on Windows {ABROAD}, seen 1 hour ago, signed in 1 hour ago" in page.words
    assert page.words.count("this one") == 1


async def test_one_session_can_be_ended(world: World, browser: Browser) -> None:
    other = world.browser()
    await other.sign_in()
    await browser.sign_in()
    page = await browser.get("/account")
    ends = re.findall(r'action="/account/sessions/end">.*?name="id" value="([^"]+)"', page.text)
    assert len(ends) == 1
    page = await browser.post("/account/sessions/end", {"id": ends[0]})
    assert "That session has ended" in (await browser.get(page.location)).words
    assert (await other.get("/account")).status == 303
    assert (await browser.get("/account")).status == 200


async def test_nobody_ends_the_session_of_somebody_else(world: World, browser: Browser) -> None:
    other = world.browser()
    await other.sign_in("ben")
    await browser.sign_in("anna")
    await browser.post("/account/sessions/end", {"id": world.accounts.sessions("ben")[0].id})
    assert (await other.get("/account")).status == 200


async def test_signing_out_everywhere_ends_this_session_too(world: World, browser: Browser) -> None:
    other = world.browser()
    await other.sign_in()
    await browser.sign_in()
    await browser.get("/account")
    page = await browser.post("/account/sessions/end-all")
    assert page.location == "/?done=signed-out"
    assert "ez_session" not in browser.cookies
    assert world.accounts.sessions("anna") == ()
    assert (await other.get("/account")).status == 303


async def test_no_session_token_is_ever_shown(browser: Browser) -> None:
    await browser.sign_in()
    for path in ("/", "/account", "/sign-out", "/confirm"):
        assert browser.cookies["ez_session"] not in (await browser.get(path)).text


async def test_a_note_comes_only_from_the_portals_own_list(browser: Browser) -> None:
    await browser.sign_in()
    page = await browser.get("/account?done=<b>Call+this+number</b>")
    assert "Call" not in page.words


async def test_from_abroad_the_page_says_where_a_second_step_is_set_up(world: World) -> None:
    browser = world.browser(ABROAD)
    await browser.sign_in()
    page = await browser.get("/account")
    assert "only at home" in page.words
    assert "/second-factor/set-up" not in page.text
