"""New values are as long as needed, out of the alphabet that is needed, and never the same."""

from __future__ import annotations

from typing import get_args

import pytest

from ez_homelab.secrets.generate import ALPHABETS, generate
from ez_homelab.secrets.needs import Charset, Need


def test_every_alphabet_there_is() -> None:
    assert set(ALPHABETS) == set(get_args(Charset))
    assert {name: len(alphabet) for name, alphabet in ALPHABETS.items()} == {"alnum": 62, "hex": 16, "base64url": 64}


@pytest.mark.parametrize("charset", get_args(Charset))
def test_values(charset: Charset) -> None:
    found = [generate(Need("wiki", "key", 64, charset)).reveal() for _ in range(200)]
    assert {len(value) for value in found} == {64}
    assert len(set(found)) == 200
    # 12 800 characters: that one of 64 is missing has a chance of 64 * (63/64) ** 12800, about 1e-86.
    assert set("".join(found)) == set(ALPHABETS[charset])
