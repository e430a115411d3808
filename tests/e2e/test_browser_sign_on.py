"""Signing in as people do it, in Chromium: one-time link, password, second factor, passkey, apps, signing out.

`EZ_TEST_SCREENSHOTS=FOLDER` keeps pictures of every page: narrow and wide, light and dark.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pyotp
import pytest
from browsers import NARROW, NEEDED, PORTAL, picture
from playwright.sync_api import BrowserContext, Page, expect
from real_lab import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browsers import Open
    from real_lab import RealLab

PASSWORD = "four words in a row 7"

pytestmark = NEEDED


@pytest.fixture(scope="module")
def link(home: RealLab) -> Iterator[str]:
    """The one-time link of somebody new, who is an admin."""
    told = home.ez("users", "add", "ben", "--name", "Ben Okafor", "--groups", "admins", "--yes").stdout
    (link,) = set(re.findall(rf"{PORTAL}/link/\S+", told))
    yield link
    home.ez("users", "remove", "ben", "--yes")


@pytest.fixture(scope="module")
def browser(open_browser: Open) -> BrowserContext:
    """The one in which the person goes from the link to the last sign-out."""
    return open_browser()


@pytest.fixture(scope="module")
def page(browser: BrowserContext) -> Page:
    return browser.pages[0]


def sign_in(page: Page, password: str = PASSWORD) -> None:
    page.get_by_label("User name").fill("ben")
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def secret_of(page: Page) -> str:
    """The key that stands as text below the QR code."""
    page.get_by_text("Type the key instead").click()
    return page.locator("#secret").inner_text().replace(" ", "")


TOTP: dict[str, pyotp.TOTP] = {}
"""What the person's phone knows."""


def test_a_one_time_link_leads_to_a_password_of_ones_own(page: Page, link: str) -> None:
    page.goto(link)
    picture(page, "link")
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("New password once more").fill(PASSWORD)
    page.get_by_role("button", name="Set password and sign in").click()
    expect(page.get_by_role("heading", name="Hello Ben Okafor")).to_be_visible()
    picture(page, "home")
    expect(page.get_by_role("link", name=re.compile("^Prometheus"))).to_be_visible()
    page.goto(f"https://dokuwiki.{DOMAIN}/")
    # It may have slept.
    expect(page.locator('meta[name="generator"][content="DokuWiki"]')).to_have_count(1, timeout=90_000)


def test_the_link_works_once(open_browser: Open, link: str) -> None:
    other = open_browser()
    other.pages[0].goto(link)
    expect(other.pages[0].get_by_label("New password", exact=True)).to_have_count(0)
    picture(other.pages[0], "link-used")


def test_an_admin_tool_asks_for_a_second_factor_and_sets_it_up(page: Page) -> None:
    page.goto(f"https://prometheus.{DOMAIN}/graph?g0.expr=up")
    expect(page.get_by_role("heading", name="Set up your authenticator app")).to_be_visible()
    picture(page, "set-up")
    TOTP["phone"] = pyotp.TOTP(secret_of(page))
    page.get_by_label("Code", exact=True).fill(TOTP["phone"].now())
    page.get_by_role("button", name="Turn it on").click()
    expect(page.locator("#recovery-codes li")).to_have_count(10)
    picture(page, "recovery-codes")
    page.get_by_role("link", name=re.compile("continue")).click()
    page.wait_for_url(re.compile(rf"^https://prometheus\.{re.escape(DOMAIN)}/.*g0\.expr=up"))
    assert "Prometheus" in page.title()


def test_a_passkey_signs_in_with_both_factors_at_once(browser: BrowserContext, page: Page) -> None:
    tools = browser.new_cdp_session(page)
    tools.send("WebAuthn.enable")
    key = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
           "isUserVerified": True, "automaticPresenceSimulation": True}  # fmt: skip
    tools.send("WebAuthn.addVirtualAuthenticator", {"options": key})
    page.goto(f"{PORTAL}/account")
    picture(page, "account")
    page.get_by_label("Name for a new passkey").fill("Blue key")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("#passkeys")).to_contain_text("Blue key")
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.goto(f"https://prometheus.{DOMAIN}/graph")
    expect(page.get_by_text("to open Prometheus")).to_be_visible()
    picture(page, "sign-in")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"https://prometheus.{DOMAIN}/**")
    assert "Prometheus" in page.title()


def test_signing_out_shuts_every_app(page: Page) -> None:
    page.goto(f"{PORTAL}/account")
    page.get_by_role("button", name="Sign out", exact=True).click()
    for app in ("dokuwiki", "prometheus"):
        page.goto(f"https://{app}.{DOMAIN}/")
        assert page.url.startswith(f"{PORTAL}/?rd=")


def test_with_the_keyboard_alone(open_browser: Open) -> None:
    page = open_browser().pages[0]
    page.goto(f"https://dokuwiki.{DOMAIN}/")
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type("ben")
    page.keyboard.press("Tab")
    page.keyboard.type("not the password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    picture(page, "sign-in-wrong")
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("checkbox", name="Stay signed in on this device")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(f"https://dokuwiki.{DOMAIN}/**")


def test_without_javascript_and_by_what_a_screen_reader_says(open_browser: Open) -> None:
    page = open_browser(java_script_enabled=False, viewport=NARROW).pages[0]
    page.goto(f"https://prometheus.{DOMAIN}/")
    said = page.locator("main").aria_snapshot()
    for name in ('heading "Sign in"', 'textbox "User name"', 'textbox "Password"', 'button "Sign in"'):
        assert name in said
    sign_in(page)
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    page.get_by_label("Code from your authenticator app").fill("000000")
    page.get_by_role("button", name="Continue", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()
    # The code of setting up may still be the present one, and works once; the next one is good already.
    page.get_by_label("Code from your authenticator app").fill(TOTP["phone"].at(int(time.time()) + 30))
    page.get_by_role("button", name="Continue", exact=True).click()
    page.wait_for_url(f"https://prometheus.{DOMAIN}/**")
