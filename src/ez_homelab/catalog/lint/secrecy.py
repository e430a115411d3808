"""Whether a text is a secret: by the name of what holds it, by its form, or because nobody would think of it."""

from __future__ import annotations

import math
import re
from collections import Counter

NAMES_A_SECRET = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_KEY)(?!_FILE)$", re.IGNORECASE)
# No secret in spite of the name: MARIADB_RANDOM_ROOT_PASSWORD: "yes" asks for one.
_SWITCHES = {"", "0", "1", "yes", "no", "true", "false", "on", "off"}
# Formats that their makers gave a beginning of their own so that they are found: PEM, GitHub, GitLab, AWS, Slack,
# Stripe, age.
_KNOWN_FORM = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bgh[pousr]_[A-Za-z0-9]{36}|\bglpat-[A-Za-z0-9_-]{20}|\bAKIA[A-Z0-9]{16}\b"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10}|\bsk_live_[A-Za-z0-9]{16}|\bAGE-SECRET-KEY-1[A-Z0-9]{58}"
)
_IN_ADDRESS = re.compile(r"://[^/\s:@$]*:(?!\$)[^/\s@$]+@")
_RUN = re.compile(r"[A-Za-z0-9+/=_-]{20,}")
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_LEAST_BITS, _LEAST_BITS_HEX = 3.7, 3.0


def is_switch(value: str) -> bool:
    """Whether the value only says yes or no."""
    return value.strip().lower() in _SWITCHES


def has_known_form(text: str) -> bool:
    """A private key, a token with its maker's mark, or a password within an address."""
    return bool(_KNOWN_FORM.search(text) or _IN_ADDRESS.search(text))


def is_random(text: str) -> bool:
    """Whether some run of at least 20 letters and digits is as uneven as a generated value.

    Measured in bits per character (Shannon): random hex has almost 4, random base64 of this length over 4. Words and
    paths come near that, but seldom with capitals, small letters and digits mixed.
    """
    return any(_is_random_run(run) for run in _RUN.findall(text))


def _is_random_run(run: str) -> bool:
    if _HEX.fullmatch(run):
        return bool(re.search("[a-fA-F]", run) and re.search("[0-9]", run)) and _bits(run) >= _LEAST_BITS_HEX
    is_path = run.startswith("/") or run.count("/") > 2
    is_mixed = all(re.search(kind, run) for kind in ("[A-Z]", "[a-z]", "[0-9]"))
    return is_mixed and not is_path and _bits(run) >= _LEAST_BITS


def _bits(text: str) -> float:
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())
