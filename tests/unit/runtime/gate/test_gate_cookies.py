"""The session cookie is found, and no app sees it; every other cookie stays as it was, byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ez_homelab.runtime.gate.cookies import take_session

CASES = [
    ("", "", ""),
    ("a=1; b=2", "", "a=1; b=2"),
    ("ez_session=T", "T", ""),
    ("ez_session=T; b=2", "T", "b=2"),
    ("a=1; ez_session=T", "T", "a=1"),
    ("a=1; ez_session=T; b=2", "T", "a=1; b=2"),
    ("a=1;ez_session=T;b=2", "T", "a=1;b=2"),
    ("a=1;  ez_session = T ; b=2", "T", "a=1; b=2"),
    ("a=1; ez_session=T; ez_session=U; b=2", "", "a=1; b=2"),
    ("ez_session=T; ez_session=T", "", ""),
    ("ez_session", "", ""),
    ("ez_session=", "", ""),
    ("ez_session=a=b", "a=b", ""),
    ("my_ez_session=T; ez_session_2=U", "", "my_ez_session=T; ez_session_2=U"),
    ("EZ_SESSION=T", "", "EZ_SESSION=T"),
    ("x=ez_session=T", "", "x=ez_session=T"),
    ('q="a; ez_session=T"; b=2', 'T"', 'q="a; b=2'),
    ("odd;; =x; \xff=\x80; ez_session=T;", "T", "odd;; =x; \xff=\x80;"),
]


@pytest.mark.parametrize(("sent", "token", "others"), CASES)
def test_the_cookie_is_taken_out(sent: str, token: str, others: str) -> None:
    assert take_session(sent) == (token, others)


OTHERS = st.lists(
    st.text(st.characters(max_codepoint=255, exclude_characters=";"), min_size=1).filter(
        lambda piece: piece.partition("=")[0].strip(" \t") != "ez_session" and piece[0] not in " \t"
    ),
    max_size=5,
)


@given(OTHERS, st.integers(0, 5))
def test_whatever_the_others_are_they_stay(others: list[str], place: int) -> None:
    pieces = [*others[:place], "ez_session=T", *others[place:]]

    assert take_session("; ".join(pieces)) == ("T", "; ".join(others))
