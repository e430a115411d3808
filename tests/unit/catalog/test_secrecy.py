"""What looks like a secret, and what only looks a bit like one."""

from __future__ import annotations

import random
from base64 import b64encode

import pytest

from ez_homelab.catalog.lint.secrecy import has_known_form, is_random, is_switch


def test_generated_values_are_random_to_the_eye() -> None:
    drawn = random.Random(1)  # noqa: S311 - the same values in every run
    made = [drawn.randbytes(24) for _ in range(500)]
    told = [*(is_random(value.hex()) for value in made), *(is_random(b64encode(value).decode()) for value in made)]
    assert sum(told) > 950


@pytest.mark.parametrize(
    "text",
    [
        "dokuwiki-2026-07-14b",
        "/usr/share/dokuwiki/lib/plugins.core/2026",
        "https://example.org/a/long/path/of/words/7",
        "http://${TITLE}:${SESSION_KEY}@database/pages",
        "--storage.tsdb.retention.time=30d",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaa1",
        "OnlyWordsWithoutAnyNumberInThem",
        "max-age=31536000, includeSubDomains",
        "2026-11-22T21:22:30.000000+00:00",
    ],
)
def test_ordinary_values_are_not(text: str) -> None:
    assert not is_random(text)
    assert not has_known_form(text)


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN " + "OPENSSH PRIVATE KEY-----",
        "ghp_" + "a1B2" * 9,
        "AKIA" + "ABCD1234EFGH5678",
        "AGE-SECRET-KEY-1" + "Q" * 58,
        "mysql://root:hunter2@database/pages",
    ],
)
def test_known_forms(text: str) -> None:
    assert has_known_form(text)


def test_switches() -> None:
    assert is_switch("Yes")
    assert is_switch("0")
    assert not is_switch("hunter2")
