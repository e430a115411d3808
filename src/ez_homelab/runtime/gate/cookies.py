"""The session cookie among the others: found, and taken out, so that no app ever sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SESSION = "ez_session"
MOST_LOOKED_AT = 8


def _nobody(_token: str) -> object:
    return None


def take_session(cookies: str, session_of: Callable[[str], object] = _nobody) -> tuple[str, str]:
    """The session's token (empty: none) and the Cookie header without it, every other character as it was.

    Another app below the domain can plant a second cookie. One that `session_of` finds no session for is ignored, or it
    would lock its victim out; two sessions are as none, because there is no telling which was planted.
    """
    if SESSION not in cookies:
        return "", cookies
    tokens, others = [], []
    for piece in cookies.split(";"):
        name, _, value = piece.partition("=")
        if name.strip(" \t") == SESSION:
            tokens.append(value.strip(" \t"))
        else:
            others.append(piece)
    if others and tokens:
        others[0] = others[0].lstrip(" \t")
    if len(tokens) > 1:
        tokens = [token for token in dict.fromkeys(tokens[:MOST_LOOKED_AT]) if session_of(token)]
    return (tokens[0] if len(tokens) == 1 else ""), ";".join(others)
