"""A real Chromium for the tests of a lab on a server: it trusts the lab's authority, finds its names, takes pictures.

`EZ_TEST_SCREENSHOTS=FOLDER` keeps pictures of every page: narrow and wide, light and dark.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from real_lab import CERTIFICATE, DOMAIN

from ez_homelab.hosts.local import LocalHost
from ez_homelab.tls.trust import trust_in_chromium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import BrowserContext, Page, Playwright
    from real_lab import RealLab

    Open = Callable[..., BrowserContext]

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PORTAL = f"https://auth.{DOMAIN}"
SCREENSHOTS = os.environ.get("EZ_TEST_SCREENSHOTS")
NARROW, PHONE, DESK = {"width": 360, "height": 740}, {"width": 390, "height": 844}, {"width": 1280, "height": 800}

NEEDED = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(shutil.which("certutil") is None, reason="certutil (libnss3-tools) is not installed"),
]


@pytest.fixture(scope="module")
def browser_folder(home: RealLab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder whose browsers trust the lab."""
    folder = tmp_path_factory.mktemp("browser")
    asyncio.run(trust_in_chromium(LocalHost(), home.server.read(CERTIFICATE), DOMAIN, str(folder)))
    return folder


@pytest.fixture(scope="module")
def playwright(browser_folder: Path) -> Iterator[Playwright]:
    """Started for one file, after the folder is made: while it runs, this thread has an event loop."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as made:
        yield made


@pytest.fixture(scope="module")
def open_browser(home: RealLab, playwright: Playwright, browser_folder: Path) -> Iterator[Open]:
    """Opens a browser that trusts the lab and finds it, as one on the server itself would."""
    port = home.server.open_port(0, 443)
    opened: list[BrowserContext] = []

    def start(**options: Any) -> BrowserContext:
        context = playwright.chromium.launch_persistent_context(
            browser_folder / f"profile{len(opened)}",
            executable_path=CHROMIUM,
            args=["--no-sandbox", f"--host-resolver-rules=MAP *.{DOMAIN}:443 127.0.0.1:{port}", "--no-proxy-server"],
            env={"HOME": str(browser_folder), "PATH": os.environ["PATH"]},
            **{"viewport": DESK, **options},
        )
        context.set_default_timeout(20_000)
        opened.append(context)
        return context

    yield start
    for context in opened:
        context.close()


def picture(page: Page, name: str, phone: Any = NARROW) -> None:
    """Nothing sticks out of a phone's screen; pictures where somebody wants to look at them."""
    for size, viewport in (("phone", phone), ("desk", DESK)):
        page.set_viewport_size(viewport)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], name
        for scheme in ("light", "dark") if SCREENSHOTS else ():
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=Path(SCREENSHOTS or "") / f"{name}-{size}-{scheme}.png", full_page=True)
