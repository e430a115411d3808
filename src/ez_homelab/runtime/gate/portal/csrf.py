"""Forms that only the portal's own pages can send.

Three locks, each enough by itself in a modern browser: a token in the form that fits a cookie which no other host of
the lab can set (`__Host-`), the Origin header, and Sec-Fetch-Site. The apps are neighbours on the same site, so
SameSite alone does not tell them from the portal.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

COOKIE = "__Host-ez_form"
FIELD = "csrf"
HEADER = "X-CSRF-Token"

_NONCE = 16
_BROWSER = re.compile(r"[A-Za-z0-9_-]{43}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{64}")


def new_browser() -> str:
    """Return the value of the cookie that tells one browser from another: 256 random bits."""
    return secrets.token_urlsafe(32)


def is_browser(value: str) -> bool:
    """Whether a cookie's value has the form of one that new_browser() made."""
    return _BROWSER.fullmatch(value) is not None


def issue(browser: str) -> str:
    """Return a token for one page. It differs each time, so that the length of a compressed page gives nothing away."""
    nonce = secrets.token_bytes(_NONCE)
    return base64.urlsafe_b64encode(nonce + _seal(browser, nonce)).decode()


def fits(browser: str, token: str) -> bool:
    """Whether the token was issued to this browser; compared in constant time."""
    if not _TOKEN.fullmatch(token):
        return False
    raw = base64.urlsafe_b64decode(token)
    return hmac.compare_digest(raw[_NONCE:], _seal(browser, raw[:_NONCE]))


def sent_by(headers: Mapping[str, str], origin: str) -> bool:
    """Whether a request that changes something says that it comes from a page of `origin` (`https://host`).

    Where a browser tells neither (old ones, command lines) the answer is yes: the token still has to fit.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None and site != "same-origin":
        return False
    said = headers.get("Origin")
    return said is None or said == origin


def _seal(browser: str, nonce: bytes) -> bytes:
    # The cookie is the key: without it nobody can make a token, and a restart of the gate spoils no open page.
    return hmac.new(browser.encode(), b"form\0" + nonce, hashlib.sha256).digest()
