from __future__ import annotations

import pytest

from ez_homelab.runtime.gate.portal.words import ago, browser, waiting


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "just now"),
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (3599, "59 minutes ago"),
        (7200, "2 hours ago"),
        (86400, "1 day ago"),
        (864000, "10 days ago"),
    ],
)
def test_how_long_ago(seconds: int, said: str) -> None:
    assert ago(1_000_000, 1_000_000 + seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "in 1 second"),
        (1, "in 1 second"),
        (60, "in 60 seconds"),
        (61, "in 2 minutes"),
        (900, "in 15 minutes"),
        (5400, "in 90 minutes"),
        (5401, "in 2 hours"),
    ],
)
def test_a_wait_is_rounded_up(seconds: int, said: str) -> None:
    assert waiting(seconds) == said


WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0", "Firefox on Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT}", "Chrome on Windows"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Edg/140.0.0.0", "Edge on Windows"),
        (f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT}", "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) Version/18.6 Safari/604.1", "Safari on iPhone"),
        ("curl/8.5.0", "curl"),
        ("", "Unknown browser"),
        ("something else", "Unknown browser"),
    ],
)
def test_a_browser_by_its_name(agent: str, said: str) -> None:
    assert browser(agent) == said
