"""MediaWiki sleeps together with its database, and people who open one of its pages watch it wake, in Chromium.

`EZ_TEST_SCREENSHOTS=FOLDER` keeps pictures of the pages.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from browsers import NEEDED, PHONE, PORTAL, picture
from playwright.sync_api import expect
from real_lab import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browsers import Open
    from playwright.sync_api import Page
    from real_lab import RealLab

ADDRESS = f"https://mediawiki.{DOMAIN}"
ASKED = f"{ADDRESS}/index.php?title=Special:Version&x=1"
WIKI, DATABASE = "mediawiki", "mediawiki-database"
PASSWORD = "four words in a row 7"
PREPARE = "/opt/stacks/pages/config/mediawiki/prepare.php"
STACK = """
  pages:
    - mediawiki:
        lazy: {mode: stop}
"""
BROKEN = '<?php fwrite(STDERR, "no <b>disk</b> to be seen\\n"); exit(3);'
WAKES = 90_000
"""Milliseconds that a wake may take on a busy machine."""

_HANG = """
until pid=$(docker inspect --format '{{.State.Pid}}' "$1") && [ "$pid" != 0 ]; do sleep 0.05; done
kill -STOP "$pid"
echo "$pid"
"""

pytestmark = NEEDED


@pytest.fixture(scope="module")
def wiki(home: RealLab) -> Iterator[RealLab]:
    """The session's lab with a MediaWiki in it that may sleep."""
    before = home.text
    # A server that was kept has it from a run that broke off.
    if STACK not in before:
        home.write(before.rstrip() + STACK)
    home.ez("apply", "--yes")
    yield home
    home.write(before)
    home.restore()


@pytest.fixture(scope="module")
def person(wiki: RealLab, open_browser: Open) -> Iterator[str]:
    """The user name of somebody who has a password and no second factor."""
    told = wiki.ez("users", "add", "ada", "--name", "Ada Lovelace", "--yes").stdout
    (link,) = set(re.findall(rf"{PORTAL}/link/\S+", told))
    page = open_browser().pages[0]
    page.goto(link)
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("New password once more").fill(PASSWORD)
    page.get_by_role("button", name="Set password and sign in").click()
    expect(page.get_by_role("heading", name="Hello Ada Lovelace")).to_be_visible()
    yield "ada"
    wiki.ez("users", "remove", "ada", "--yes")


@pytest.fixture(scope="module")
def page(open_browser: Open) -> Page:
    """Of the browser in which the person signs in once."""
    return open_browser().pages[0]


def fall_asleep(wiki: RealLab) -> None:
    wiki.ez("sleep", WIKI)
    assert not wiki.running(WIKI)
    assert not wiki.running(DATABASE)


def state_of(wiki: RealLab) -> Any:
    """What `status` says of it."""
    [state] = [app for app in wiki.document("status")["apps"] if app["name"] == WIKI]
    return state


@contextmanager
def hanging_database(wiki: RealLab) -> Iterator[None]:
    """As soon as it runs it hangs, until the end: that long does the wiki wake."""
    found: list[str] = []
    hang = ["timeout", "60", "sh", "-c", _HANG, "hang", DATABASE]
    thread = threading.Thread(target=lambda: found.append(wiki.server.run(hang, check=False).stdout.strip()))
    thread.start()
    try:
        yield
    finally:
        thread.join()
        wiki.server.run(["kill", "-CONT", *found])


def sign_in(page: Page, person: str) -> None:
    page.get_by_label("User name").fill(person)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def is_there(page: Page) -> None:
    """The very page that was asked for."""
    expect(page.locator("#firstHeading")).to_have_text("Version", timeout=WAKES)
    assert page.url == ASKED


def test_a_change_is_applied_asleep_and_proven_by_one_wake(wiki: RealLab) -> None:
    wiki.ez("wake", WIKI)
    assert wiki.running(WIKI)
    assert wiki.running(DATABASE)
    fall_asleep(wiki)
    assert not wiki.planned()
    before, container = state_of(wiki), wiki.containers()[WIKI]
    wiki.write(wiki.text.replace(STACK, f"{STACK}        environment: {{MEDIAWIKI_SITE_NAME: Bins}}\n"))
    wiki.ez("apply", "--yes")
    after = state_of(wiki)
    assert wiki.containers()[WIKI] != container
    assert (before["state"], after["state"]) == ("asleep", "asleep")
    assert after["on_demand"]["wakes"]["count"] == before["on_demand"]["wakes"]["count"] + 1


def test_a_person_signs_in_watches_it_wake_and_lands_on_the_page(wiki: RealLab, person: str, page: Page) -> None:
    fall_asleep(wiki)
    page.goto(ASKED)
    expect(page.get_by_text("to open MediaWiki")).to_be_visible()
    assert not wiki.running(DATABASE)
    with hanging_database(wiki):
        sign_in(page, person)
        expect(page).to_have_title("MediaWiki - EZ-Homelab")
        expect(page.get_by_role("heading", name="MediaWiki")).to_be_visible()
        expect(page.get_by_role("status")).to_have_text("was asleep and is starting.")
        expect(page.get_by_role("progressbar")).to_be_visible()
        expect(page.locator("#step")).to_have_text(f"Starting {WIKI}", timeout=WAKES)
        expect(page.locator("#typical")).to_have_text(re.compile("^usually about"))
        # By events, not by opening the page anew.
        page.evaluate("document.body.dataset.mark = 'the same'")
        expect(page.locator("#elapsed")).not_to_have_text(page.locator("#elapsed").inner_text())
        assert page.evaluate("document.body.dataset.mark") == "the same"
        assert page.url == ASKED
        picture(page, "waking", PHONE)
    is_there(page)
    assert wiki.running(DATABASE)


def test_without_javascript_the_page_asks_again_by_itself(wiki: RealLab, person: str, open_browser: Open) -> None:
    fall_asleep(wiki)
    page = open_browser(java_script_enabled=False, viewport=PHONE).pages[0]
    page.goto(ASKED)
    with hanging_database(wiki):
        sign_in(page, person)
        said = page.get_by_role("main")
        expect(said.get_by_role("heading", name="MediaWiki")).to_be_visible()
        expect(said.get_by_role("status")).to_have_text("was asleep and is starting.")
        expect(said.locator("#elapsed")).not_to_have_text(said.locator("#elapsed").inner_text())
    is_there(page)


def test_a_start_that_fails_says_why_and_once_it_is_mended_another_try_leads_there(wiki: RealLab, page: Page) -> None:
    fall_asleep(wiki)
    sound = wiki.server.read(PREPARE)
    wiki.server.write(PREPARE, BROKEN)
    try:
        page.goto(ASKED)
        expect(page.get_by_role("alert")).to_have_text("has not started.", timeout=WAKES)
        expect(page.get_by_text(f"The container {WIKI} has ended with exit code 3.")).to_be_visible()
        expect(page.locator("pre")).to_have_text(re.compile("no <b>disk</b> to be seen$"))
        picture(page, "failed", PHONE)
        assert not wiki.running(WIKI)
        assert not wiki.running(DATABASE)
    finally:
        wiki.server.write(PREPARE, sound)
    # So long a failed start is not tried again, whoever asks.
    page.wait_for_timeout(1500)
    page.get_by_role("button", name="Try again").click()
    is_there(page)
