"""Signing in as people do it, in Chromium: one-time link, password, second factor, passkey, apps, signing out.

`EZ_TEST_SCREENSHOTS=FOLDER` keeps pictures of every page: narrow and wide, light and dark.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyotp
import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright
from real_lab import CERTIFICATE, DOMAIN

from ez_homelab.hosts.local import LocalHost
from ez_homelab.tls.trust import trust_in_chromium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Playwright
    from real_lab import RealLab

    Open = Callable[..., BrowserContext]

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PORTAL = f"https://auth.{DOMAIN}"
PASSWORD = "four words in a row 7"
SCREENSHOTS = os.environ.get("EZ_TEST_SCREENSHOTS")
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 800}

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(shutil.which("certutil") is None, reason="certutil (libnss3-tools) is not installed"),
]


@pytest.fixture(scope="module")
def link(home: RealLab) -> Iterator[str]:
    """The one-time link of somebody new, who is an admin."""
    told = home.ez("users", "add", "ben", "--name", "Ben Okafor", "--groups", "admins", "--yes").stdout
    (link,) = set(re.findall(rf"{PORTAL}/link/\S+", told))
    yield link
    home.ez("users", "remove", "ben", "--yes")


@pytest.fixture(scope="module")
def folder(home: RealLab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder whose browsers trust the lab."""
    folder = tmp_path_factory.mktemp("browser")
    asyncio.run(trust_in_chromium(LocalHost(), home.server.read(CERTIFICATE), DOMAIN, str(folder)))
    return folder


@pytest.fixture(scope="module")
def playwright(folder: Path) -> Iterator[Playwright]:
    with sync_playwright() as made:
        yield made


@pytest.fixture(scope="module")
def open_browser(home: RealLab, playwright: Playwright, folder: Path) -> Iterator[Open]:
    """Opens a browser that trusts the lab and finds it, as one on the server itself would."""
    port = home.server.open_port(0, 443)
    opened: list[BrowserContext] = []

    def start(**options: Any) -> BrowserContext:
        context = playwright.chromium.launch_persistent_context(
            folder / f"profile{len(opened)}",
            executable_path=CHROMIUM,
            args=["--no-sandbox", f"--host-resolver-rules=MAP *.{DOMAIN}:443 127.0.0.1:{port}", "--no-proxy-server"],
            env={"HOME": str(folder), "PATH": os.environ["PATH"]},
            **{"viewport": DESK, **options},
        )
        context.set_default_timeout(20_000)
        opened.append(context)
        return context

    yield start
    for context in opened:
        context.close()


@pytest.fixture(scope="module")
def browser(open_browser: Open) -> BrowserContext:
    """The one in which the person goes from the link to the last sign-out."""
    return open_browser()


@pytest.fixture(scope="module")
def page(browser: BrowserContext) -> Page:
    return browser.pages[0]


def picture(page: Page, name: str) -> None:
    """Nothing sticks out of a phone's screen; pictures where somebody wants to look at them."""
    for size, viewport in (("phone", PHONE), ("desk", DESK)):
        page.set_viewport_size(viewport)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], name
        for scheme in ("light", "dark") if SCREENSHOTS else ():
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{size}-{scheme}.png", full_page=True)


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
    expect(page.locator('meta[name="generator"][content="DokuWiki"]')).to_have_count(1)


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
    page = open_browser(java_script_enabled=False, viewport=PHONE).pages[0]
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
