from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ez_homelab.runtime.gate.portal.redirects import (
    MAX_LENGTH,
    host_of,
    may_follow,
    safe_target,
    with_target,
)

CASES: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("redirect_cases.yaml").read_text("utf-8"))
DOMAIN = CASES["domain"]


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: repr(case["asked"]))
def test_a_sign_in_leads_into_the_lab_or_nowhere(case: dict[str, str]) -> None:
    assert safe_target(case["asked"], DOMAIN) == case.get("to")


def test_without_a_target_there_is_none() -> None:
    assert safe_target(None, DOMAIN) is None


def test_an_address_longer_than_any_header_is_dropped() -> None:
    start = f"https://{DOMAIN}/"
    assert safe_target(start + "x" * (MAX_LENGTH - len(start)), DOMAIN) is not None
    assert safe_target(start + "x" * (MAX_LENGTH - len(start) + 1), DOMAIN) is None


@given(
    st.one_of(
        st.text(),
        st.tuples(
            st.sampled_from(["https://", "http://", "//", "https:\\\\", "", "javascript:"]),
            st.sampled_from(
                ["", "a", "evil.example", "evil.example@", "a:b@", "[", "evil.example\\", "x/", "x?", "x#"]
            ),
            st.sampled_from(["lab.localhost", ".lab.localhost", "evil.example", "lab.localhost.evil.example"]),
            st.sampled_from(["", ":443", ":80", ":", "."]),
            st.text(max_size=8),
        ).map("".join),
    )
)
def test_whatever_is_asked_a_url_parser_finds_a_host_of_the_lab(asked: str) -> None:
    target = safe_target(asked, DOMAIN)
    if target is not None:
        parts = urlsplit(target)
        assert parts.scheme == "https"
        assert parts.netloc == host_of(target)
        assert parts.netloc == DOMAIN or parts.netloc.endswith("." + DOMAIN)


@pytest.mark.parametrize(
    ("method", "follows"),
    [(None, True), ("", True), ("GET", True), ("get", True), ("HEAD", True), ("OPTIONS", True)]
    + [(other, False) for other in ("POST", "PUT", "DELETE", "PATCH", "CONNECT", "BREW")],
)
def test_only_a_look_is_repeated_by_leading_there(method: str | None, follows: bool) -> None:
    assert may_follow(method) is follows


def test_a_target_is_carried_whole() -> None:
    assert with_target("/x", None, "GET") == "/x"
    assert with_target("/x", "https://a.lab.localhost/?b=1&c=2", None) == (
        "/x?rd=https%3A%2F%2Fa.lab.localhost%2F%3Fb%3D1%26c%3D2"
    )
    assert with_target("/x?next=set-up", "https://lab.localhost/", "POST").startswith("/x?next=set-up&rd=https")
    assert with_target("/x", "https://lab.localhost/", "POST").endswith("&rm=POST")
