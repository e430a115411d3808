"""New values, out of the system's own source of randomness."""

from __future__ import annotations

import string
from secrets import choice
from typing import TYPE_CHECKING

from ez_homelab.secrets.value import Secret

if TYPE_CHECKING:
    from ez_homelab.secrets.needs import Charset, Need

_LETTERS_AND_DIGITS = string.ascii_letters + string.digits

ALPHABETS: dict[Charset, str] = {
    "alnum": _LETTERS_AND_DIGITS,
    "hex": "0123456789abcdef",
    # RFC 4648, 5: the alphabet that is safe in addresses and file names.
    "base64url": f"{_LETTERS_AND_DIGITS}-_",
}


def generate(need: Need) -> Secret:
    """A new value of the length and the alphabet that are needed; every character is drawn by itself."""
    alphabet = ALPHABETS[need.charset]
    return Secret("".join(choice(alphabet) for _ in range(need.length)))
