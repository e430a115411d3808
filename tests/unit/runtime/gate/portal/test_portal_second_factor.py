from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyotp
from portal_world import ABROAD, ORIGIN, PASSWORD, Browser, Page, World

if TYPE_CHECKING:
    from collections.abc import Callable

METRICS = "https://metrics.lab.localhost/"
CHANGES_OF_FACTORS = (
    "/account/totp/remove",
    "/account/recovery-codes",
    "/account/passkeys/remove",
    "/account/passkeys/rename",
)


def _secret(page: Page) -> str:
    found = re.search(r'id="secret">([A-Z2-7 ]+)<', page.text)
    assert found
    return found[1].replace(" ", "")


def _codes(page: Page) -> list[str]:
    return re.findall(r"<li>([^<]+)</li>", page.text.partition('id="recovery-codes"')[2].partition("</ul>")[0])


def _code(world: World, secret: str) -> str:
    return pyotp.TOTP(secret).at(int(world.clock()))


async def _enrol(world: World, browser: Browser, **fields: str) -> tuple[str, list[str]]:
    """Set an authenticator app up; its secret and the recovery codes."""
    secret = _secret(await browser.get("/second-factor/set-up"))
    page = await browser.post("/second-factor/set-up", {"code": _code(world, secret), **fields})
    assert page.status == 200
    return secret, _codes(page)


async def test_the_first_visit_to_an_admin_tool_sets_the_second_step_up(world: World, browser: Browser) -> None:
    page = await browser.sign_in(rd=METRICS, rm="GET")
    page = await browser.get(page.location)
    assert page.location.startswith("/second-factor/set-up?rd=https%3A%2F%2Fmetrics")
    page = await browser.get(page.location)
    assert "Metrics asks for a second proof" in page.words
    assert "<svg" in page.text
    before = browser.cookies["ez_session"]
    page = await browser.post(
        "/second-factor/set-up", {"code": _code(world, _secret(page)), "rd": METRICS, "rm": "GET"}
    )
    assert len(_codes(page)) == 10
    assert browser.cookies["ez_session"] != before
    assert world.accounts.session_of(before) is None
    onward = re.search(r'class="button full" href="([^"]+)"', page.text)
    assert onward
    assert (await browser.get(onward[1].replace("&amp;", "&"))).location == METRICS


async def test_a_wrong_code_keeps_the_picture_that_was_scanned(world: World, browser: Browser) -> None:
    await browser.sign_in()
    secret = _secret(await browser.get("/second-factor/set-up"))
    page = await browser.post("/second-factor/set-up", {"code": "000000"})
    assert page.status == 401
    assert "does not fit" in page.words
    assert _secret(page) == secret
    assert not world.accounts.second_factors("anna").totp


async def test_a_code_is_asked_for_and_taken_with_spaces(world: World, browser: Browser) -> None:
    await browser.sign_in()
    secret, _ = await _enrol(world, browser)
    world.clock.go_on(60)
    await browser.sign_in(rd=METRICS)
    page = await browser.get("/second-factor?rd=https%3A%2F%2Fmetrics.lab.localhost%2F")
    assert 'autocomplete="one-time-code"' in page.text
    before, code = browser.cookies["ez_session"], _code(world, secret)
    page = await browser.post("/second-factor", {"code": f" {code[:3]} {code[3:]}", "rd": METRICS})
    assert (page.status, page.location) == (303, METRICS)
    assert world.accounts.session_of(before) is None
    assert (await browser.get(f"/second-factor?rd={METRICS}")).location == METRICS


async def test_a_code_works_once(world: World, browser: Browser) -> None:
    await browser.sign_in()
    secret, _ = await _enrol(world, browser)
    world.clock.go_on(60)
    code = _code(world, secret)
    await browser.sign_in()
    assert (await browser.post("/second-factor", {"code": code})).status == 303
    other = world.browser()
    await other.sign_in()
    page = await other.post("/second-factor", {"code": code})
    assert (page.status, page.location) == (401, "")


async def test_a_recovery_code_works_once(world: World, browser: Browser) -> None:
    await browser.sign_in()
    _, codes = await _enrol(world, browser)
    await browser.sign_in()
    page = await browser.post("/second-factor", {"recovery_code": f" {codes[3].upper()} "})
    assert (page.status, page.location) == (303, "/")
    assert world.accounts.second_factors("anna").recovery_left == 9
    await browser.sign_in()
    page = await browser.post("/second-factor", {"recovery_code": codes[3]})
    assert page.status == 401
    assert "used before" in page.words
    assert "<details" in page.text
    assert " open>" in page.text


async def test_guessing_codes_ends_in_waiting(world: World, browser: Browser) -> None:
    await browser.sign_in()
    await _enrol(world, browser)
    await browser.sign_in()
    pages = [await browser.post("/second-factor", {"code": f"{number:06}"}) for number in range(30)]
    assert pages[-1].status == 429
    assert int(pages[-1].headers["Retry-After"]) > 0


async def test_from_abroad_nobody_sets_a_first_second_step_up(world: World) -> None:
    browser = world.browser(ABROAD)
    await browser.sign_in()
    page = await browser.get("/second-factor/set-up")
    assert page.status == 403
    assert "<svg" not in page.text.partition("<main")[2]
    assert (await browser.post("/second-factor/set-up", {"code": "123456"})).status == 403
    assert (await browser.send("/passkeys/add/options")).status == 403


async def test_after_a_link_it_can_be_set_up_from_abroad(world: World) -> None:
    browser = world.browser(ABROAD)
    token, _ = world.accounts.make_link("anna", "login", 10)
    await browser.get(f"/link/{token}")
    await browser.post(f"/link/{token}")
    _, codes = await _enrol(world, browser)
    assert len(codes) == 10


async def test_who_knows_only_the_password_cannot_add_or_remove_a_second_step(world: World, browser: Browser) -> None:
    await browser.sign_in()
    await _enrol(world, browser)
    thief = world.browser()
    await thief.sign_in()
    back = "/second-factor?rd=https%3A%2F%2Fauth.lab.localhost%2Faccount"
    assert (await thief.get("/second-factor/set-up")).location == back
    for path in CHANGES_OF_FACTORS:
        assert (await thief.post(path, {"id": "x"})).location == back
    changed = {
        "old_password": PASSWORD,
        "new_password": "another long password",
        "new_password_again": "another long password",
    }
    assert (await thief.post("/account/password", changed)).location == back
    assert (await thief.send("/passkeys/add/options")).status == 403
    assert (await thief.send("/passkeys/add", {"credential": {}})).status == 403
    page = await thief.get("/account")
    assert "prove your second step first" in page.words
    assert "/account/totp/remove" not in page.text
    assert world.accounts.second_factors("anna").totp


async def _stale(world: World, browser: Browser) -> None:
    await browser.sign_in()
    await _enrol(world, browser)
    world.clock.go_on(11 * 60)


async def test_changes_need_the_password_of_the_last_ten_minutes(world: World, browser: Browser) -> None:
    await _stale(world, browser)
    await browser.get("/account")
    changes: list[Callable[[], object]] = []
    for path in CHANGES_OF_FACTORS:
        page = await browser.post(path, {"id": "x"})
        assert page.location == "/confirm?next=account"
    assert (await browser.send("/passkeys/add/options")).status == 403
    assert world.accounts.second_factors("anna").totp
    assert not changes
    assert "confirm your password first" in (await browser.get("/account")).words


async def test_the_password_once_more_opens_changes_again(world: World, browser: Browser) -> None:
    await _stale(world, browser)
    await browser.get("/confirm?next=account")
    page = await browser.post("/confirm", {"password": "wrong", "next": "account"})
    assert (page.status, page.location) == (401, "")
    page = await browser.post("/confirm", {"password": PASSWORD, "next": "account"})
    assert page.location == "/account"
    await browser.get("/account")
    assert (await browser.post("/account/totp/remove")).location == "/account?done=app-off"
    assert not world.accounts.second_factors("anna").any


async def test_confirming_leads_only_to_known_pages(browser: Browser) -> None:
    await browser.sign_in()
    for said in ("https://evil.example/", "//evil.example", "/api/health", ""):
        await browser.get("/confirm")
        assert (await browser.post("/confirm", {"password": PASSWORD, "next": said})).location == "/account"


async def test_setting_up_late_asks_for_the_password_and_keeps_the_way(world: World, browser: Browser) -> None:
    await browser.sign_in()
    world.clock.go_on(11 * 60)
    page = await browser.get("/second-factor/set-up?rd=https%3A%2F%2Fmetrics.lab.localhost%2F&rm=GET")
    assert page.location == "/confirm?next=set-up&rd=https%3A%2F%2Fmetrics.lab.localhost%2F&rm=GET"
    await browser.get(page.location)
    page = await browser.post("/confirm", {"password": PASSWORD, "next": "set-up", "rd": METRICS, "rm": "GET"})
    assert page.location == "/second-factor/set-up?rd=https%3A%2F%2Fmetrics.lab.localhost%2F&rm=GET"
    assert (await browser.get(page.location)).status == 200


async def test_with_an_app_set_up_already_there_is_nothing_to_set_up(world: World, browser: Browser) -> None:
    await browser.sign_in()
    await _enrol(world, browser)
    assert (await browser.get("/second-factor/set-up")).location == "/account"


async def test_new_recovery_codes_void_the_old_ones(world: World, browser: Browser) -> None:
    await browser.sign_in()
    _, old = await _enrol(world, browser)
    page = await browser.post("/account/recovery-codes")
    new = _codes(page)
    assert len(new) == 10
    assert not set(new) & set(old)
    assert page.headers["Cache-Control"] == "no-store"
    assert new[0] not in (await browser.get("/account")).text


async def test_without_a_second_step_the_page_for_it_sets_one_up(browser: Browser) -> None:
    await browser.sign_in()
    assert (await browser.get("/second-factor")).location == "/second-factor/set-up"
    await browser.sign_in(rd=ORIGIN + "/account")
    assert "Set up" in (await browser.get("/account")).words
