"""What an app needs to be given a secret of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Charset = Literal["alnum", "hex", "base64url"]


@dataclass(frozen=True, slots=True)
class Need:
    """One secret of one app of the lab: `length` characters out of `charset`."""

    instance: str
    id: str
    length: int
    charset: Charset
