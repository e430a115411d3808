"""Who may open what, in Authelia's words: `access_control`, whose first rule that fits a request decides.

A rule with groups does not fit people who are in none of them, so each route that is not open to everybody ends with a
rule of its own that refuses; without it the lab's last rule, which is for whoever signed in, would let them pass.
Nothing here can say "from outside only with a second factor", which the gate can.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ez_homelab.route import SignOn
from ez_homelab.sso.engine import PORTAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ez_homelab.config.model import Lab
    from ez_homelab.route import BypassPath, Route

LAN = "lan"
"""What the lab's own networks are called in the configuration."""

# Authelia matches the path after it was decoded, cleaned of `..` and `//`, and joined with the query as it was sent.
# Characters that programs read in more than one way (`;`, `%`, a backslash, blanks) fit no rule, so such a path is not
# open.
_BELOW = r"[A-Za-z0-9._~!$&'()*+,=:@/-]*"
_QUERY = r"(\?.*)?"
_SPECIAL = re.compile(r"[.$()*+]")


def access_control(lab: Lab, routes: Iterable[Route]) -> dict[str, Any]:
    """The portal first, then each route, then every other name of the lab; what fits nothing is refused."""
    portal = f"{PORTAL}.{lab.domain}"
    rules = [{"domain": portal, "policy": "bypass"}]
    for route in sorted(routes, key=lambda route: route.host):
        if route.host != portal:
            rules += _rules(route)
    rules += _of_sign_on([lab.domain, f"*.{lab.domain}"], SignOn())
    return {"default_policy": "deny", "rules": rules}


def networks(lab: Lab) -> dict[str, list[str]]:
    """The networks that rules call by name."""
    return {LAN: [*lab.sign_on.lan]}


def pattern(path: str) -> str:
    """The regular expression (RE2) that fits a bypass path: it alone, or with `/` at its end everything below it."""
    literal = _SPECIAL.sub(r"\\\g<0>", path)
    return f"^{literal}{_BELOW if path.endswith('/') else ''}{_QUERY}$"


def _rules(route: Route) -> Iterator[dict[str, Any]]:
    return _of_sign_on(route.host, route.sign_on)


def _of_sign_on(domain: str | list[str], sign_on: SignOn) -> Iterator[dict[str, Any]]:
    where: dict[str, Any] = {"domain": domain}
    if sign_on.policy == "deny":
        yield where | {"policy": "deny"}
        return
    who: dict[str, Any] = where | ({"networks": [LAN]} if sign_on.access == "lan" else {})
    if sign_on.bypass and sign_on.policy != "bypass":
        yield who | {"resources": _patterns(sign_on.bypass), "policy": "bypass"}
    groups = {"subject": subjects(sign_on.groups)} if sign_on.groups and sign_on.policy != "bypass" else {}
    yield who | groups | {"policy": sign_on.policy}
    if groups or sign_on.access == "lan":
        yield where | {"policy": "deny"}


def _patterns(bypass: Iterable[BypassPath]) -> list[str]:
    return sorted({pattern(item.path) for item in bypass})


def subjects(groups: Iterable[str]) -> list[list[str]]:
    """Whoever is in one of the groups: the outer list is "or", an inner one "and"."""
    return [[f"group:{group}"] for group in groups]
