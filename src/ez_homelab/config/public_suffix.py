"""Domains that belong to everybody: the public suffix list, by which browsers judge cookies."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


def is_public_suffix(domain: str) -> bool:
    """Whether strangers have names directly below `domain` (lower case). Browsers take no cookie for such a domain
    (RFC 6265, 5.3.5). A domain without a dot counts as one, as it does there.

    By the list that the library carries (https://publicsuffix.org/list/); the first question takes a tenth of a second.
    """
    return _known().is_public(domain)


@cache
def _known() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
