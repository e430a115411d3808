"""The session cookie among the others: found, and taken out, so that no app ever sees it."""

from __future__ import annotations

SESSION = "ez_session"


def take_session(cookies: str) -> tuple[str, str]:
    """The session's token (empty: none) and the Cookie header without it, every other character as it was.

    Two session cookies are as none: one of them may have been planted by another app below the domain, and there is no
    telling which.
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
    return (tokens[0] if len(tokens) == 1 else ""), ";".join(others)
