"""Where a sign-in may lead to: an address of the lab, over HTTPS, and nowhere else."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

from ..decide import plain_host

MAX_LENGTH = 4096

# Printable ASCII without the backslash, which browsers read as a slash. Nothing here is decoded or repaired: an address
# that needs that is not one that Traefik handed over.
_ADDRESS = re.compile(r"https://(?P<host>[A-Za-z0-9.-]{1,253})(?::443)?(?P<rest>[/?#][!-\[\]-~]*)?", re.ASCII)
_SEEN_AGAIN = frozenset({"GET", "HEAD", "OPTIONS"})


def safe_target(asked: str | None, domain: str) -> str | None:
    """Return the address to lead to, with its host in lower case, or None where it is not one of the lab's own.

    Only `https`, the domain or a host below it, port 443; no user information, no backslash, no control character.
    """
    if not asked or len(asked) > MAX_LENGTH:
        return None
    match = _ADDRESS.fullmatch(asked)
    if match is None:
        return None
    host = plain_host(match["host"], domain)
    if not host:
        return None
    rest = match["rest"] or "/"
    return f"https://{host}{rest if rest.startswith('/') else '/' + rest}"


def host_of(target: str) -> str:
    """Return the host of an address that safe_target() returned."""
    return re.split(r"[/?#]", target.removeprefix("https://"), maxsplit=1)[0]


def path_of(target: str) -> str:
    """Return path and query of an address that safe_target() returned."""
    return target.removeprefix(f"https://{host_of(target)}").partition("#")[0]


def may_follow(method: str | None) -> bool:
    """Whether leading a browser to the address repeats what it asked for; anything but a look is never sent again."""
    return not method or method.upper() in _SEEN_AGAIN


def with_target(path: str, target: str | None, method: str | None) -> str:
    """Return a portal path that carries where the person wants to go (`rd`) and how it was asked for (`rm`)."""
    if target is None:
        return path
    carried = {"rd": target, "rm": method} if method else {"rd": target}
    return f"{path}{'&' if '?' in path else '?'}{urlencode(carried, safe='', quote_via=quote)}"
