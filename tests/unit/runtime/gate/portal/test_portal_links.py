from __future__ import annotations

import pytest
from portal_world import PASSWORD, Browser, World

NEW = {"new_password": "seven wet paper boats", "new_password_again": "seven wet paper boats"}


async def test_an_invitation_takes_a_password_and_signs_in(world: World, browser: Browser) -> None:
    token, _ = world.accounts.make_link("ben", "invite", 60)
    page = await browser.get(f"/link/{token}")
    assert "Welcome to Smith lab" in page.words
    assert page.text.count('autocomplete="new-password"') == 2
    assert 'autocomplete="username"' in page.text
    page = await browser.post(f"/link/{token}", NEW)
    assert (page.status, page.location) == (303, "/")
    assert "Hello Ben" in (await browser.get("/")).words
    assert (await world.browser().sign_in("ben", NEW["new_password"])).status == 303


async def test_looking_at_a_link_uses_nothing_up(world: World, browser: Browser) -> None:
    token, _ = world.accounts.make_link("anna", "login", 10)
    for _ in range(3):
        page = await browser.get(f"/link/{token}")
        assert "Sign in as anna" in page.words
    assert (await browser._ask("HEAD", f"/link/{token}", None, {})).status == 200
    assert "ez_session" not in browser.cookies
    assert (await browser.post(f"/link/{token}")).status == 303


async def test_a_link_works_once(world: World, browser: Browser) -> None:
    token, _ = world.accounts.make_link("anna", "login", 10)
    await browser.get(f"/link/{token}")
    await browser.post(f"/link/{token}")
    other = world.browser()
    await other.get("/")
    for page in (await other.get(f"/link/{token}"), await other.post(f"/link/{token}")):
        assert page.status == 410
        assert "ez_session" not in other.cookies


@pytest.mark.parametrize("token", ["x", "A" * 43, "a%00b", "A" * 4000])
async def test_a_link_that_never_was_reads_as_a_used_one(browser: Browser, token: str) -> None:
    await browser.get("/")
    assert (await browser.get(f"/link/{token}")).status == 410
    assert (await browser.post(f"/link/{token}", NEW)).status == 410


async def test_an_expired_link_is_gone(world: World, browser: Browser) -> None:
    token, _ = world.accounts.make_link("anna", "reset", 10)
    world.clock.go_on(601)
    assert (await browser.get(f"/link/{token}")).status == 410


async def test_a_reset_signs_out_everywhere_else(world: World, browser: Browser) -> None:
    await browser.sign_in()
    token, _ = world.accounts.make_link("anna", "reset", 10)
    other = world.browser()
    assert "The old password does not work from then on" in (await other.get(f"/link/{token}")).words
    await other.post(f"/link/{token}", NEW)
    assert (await browser.get("/account")).status == 303
    assert (await world.browser().sign_in("anna", PASSWORD)).status == 401


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"new_password": "seven wet paper boats", "new_password_again": "seven wet paper"}, "not the same"),
        ({"new_password": "seven wet paper boats"}, "not the same"),
        ({"new_password": "short", "new_password_again": "short"}, "password"),
        ({}, "password"),
    ],
)
async def test_after_a_password_that_does_not_do_the_link_is_still_good(
    world: World, browser: Browser, fields: dict[str, str], said: str
) -> None:
    token, _ = world.accounts.make_link("ben", "invite", 60)
    await browser.get(f"/link/{token}")
    page = await browser.post(f"/link/{token}", fields)
    assert page.status == 400
    assert said in page.words
    assert "short" not in page.text.partition("<main")[2].replace("shortly", "")
    assert (await browser.post(f"/link/{token}", NEW)).status == 303


async def test_a_link_ends_the_session_that_the_browser_had(world: World, browser: Browser) -> None:
    await browser.sign_in("ben")
    token, _ = world.accounts.make_link("anna", "login", 10)
    await browser.get(f"/link/{token}")
    await browser.post(f"/link/{token}")
    assert world.accounts.sessions("ben") == ()
    assert "Hello Anna" in (await browser.get("/")).words


async def test_a_link_leads_nowhere_else(world: World, browser: Browser) -> None:
    token, _ = world.accounts.make_link("anna", "login", 10)
    await browser.get(f"/link/{token}?rd=https%3A%2F%2Fevil.example%2F")
    assert (await browser.post(f"/link/{token}", {"rd": "https://evil.example/"})).location == "/"
