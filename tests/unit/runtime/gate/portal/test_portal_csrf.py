from __future__ import annotations

import base64

import pytest

from ez_homelab.runtime.gate.portal import csrf

ORIGIN = "https://auth.lab.localhost"


def test_a_token_fits_the_browser_it_was_issued_to_and_no_other() -> None:
    mine, other = csrf.new_browser(), csrf.new_browser()
    token = csrf.issue(mine)
    assert csrf.fits(mine, token)
    assert not csrf.fits(other, token)


def test_every_page_has_another_token_and_all_of_them_fit() -> None:
    browser = csrf.new_browser()
    tokens = {csrf.issue(browser) for _ in range(20)}
    assert len(tokens) == 20
    assert all(csrf.fits(browser, token) for token in tokens)


@pytest.mark.parametrize("at", range(0, 48, 5))
def test_a_token_with_one_bit_turned_does_not_fit(at: int) -> None:
    browser = csrf.new_browser()
    raw = bytearray(base64.urlsafe_b64decode(csrf.issue(browser)))
    raw[at] ^= 1
    assert not csrf.fits(browser, base64.urlsafe_b64encode(raw).decode())


@pytest.mark.parametrize("token", ["", "x", "A" * 63, "A" * 64, "A" * 65, "=" * 64, "é" * 64, "A" * 100_000])
def test_what_is_no_token_does_not_fit(token: str) -> None:
    assert not csrf.fits(csrf.new_browser(), token)


@pytest.mark.parametrize("value", ["", "short", "A" * 42, "A" * 44, "A" * 42 + ";", "A" * 43 + "\n"])
def test_a_cookie_of_another_form_is_not_taken_for_a_browser(value: str) -> None:
    assert not csrf.is_browser(value)
    assert csrf.is_browser(csrf.new_browser())


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({}, True),
        ({"Origin": ORIGIN}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://app.lab.localhost"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "http://auth.lab.localhost"}, False),
        ({"Origin": ORIGIN + ":8443"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": ORIGIN, "Sec-Fetch-Site": "same-site"}, False),
    ],
)
def test_a_form_of_another_page_is_known_by_what_the_browser_says(headers: dict[str, str], ours: bool) -> None:
    assert csrf.sent_by(headers, ORIGIN) is ours
