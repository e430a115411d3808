"""Which paths may be open without sign-on: only those that Traefik, the engine and every app read alike."""

from __future__ import annotations

import pytest

from ez_homelab.route import bypass_path_complaint


@pytest.mark.parametrize(
    "path",
    [
        "/api/",
        "/api/v1/hooks",
        "/.well-known/",
        "/a.b~c_d-e/",
        "/-/healthy",
        "/x/..a/",
        "/a...b",
        "/@scope/$a!&'()+,=:",
    ],
)
def test_plain_paths_will_do(path: str) -> None:
    assert bypass_path_complaint(path) is None


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "//", "api/", "/a//b", "/a//", "//a", "/./a", "/a/.", "/a/..", "/../a", "/a/../b", "/a/./"),
        *("/a;b", "/a%2fb", "/%61", "/a b", "/a?b", "/a#b", "/a\\b", "/a\nb", "/a/*", "/*", "/a*", "/ä", "/a\x00"),
        "/" + "a" * 200,
    ],
)
def test_whatever_could_be_read_in_two_ways_is_refused(path: str) -> None:
    assert bypass_path_complaint(path) is not None


def test_a_wildcard_is_told_what_to_write() -> None:
    complaint = bypass_path_complaint("/api/*")
    assert complaint is not None
    assert complaint[1] == "write `/api/`"
