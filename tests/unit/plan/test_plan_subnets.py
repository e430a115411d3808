from __future__ import annotations

from ipaddress import IPv4Network
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ez_homelab.errors import PrerequisiteError
from ez_homelab.plan.subnets import POOL, free_subnets


def first(count: int, taken: list[str]) -> list[str]:
    return list(islice(free_subnets(taken), count))


def test_the_lowest_ones_that_nobody_has() -> None:
    assert first(2, []) == ["10.201.0.0/26", "10.201.0.64/26"]
    assert first(2, ["10.201.0.0/26", "10.201.0.130/32"]) == ["10.201.0.64/26", "10.201.0.192/26"]
    assert first(1, ["10.201.0.70"]) == ["10.201.0.0/26"]


def test_a_network_far_larger_than_ours_does_not_take_them_all() -> None:
    # The route of a company's VPN, of IPv6, of somewhere else.
    assert first(1, ["10.0.0.0/8", "fd00::/8", "172.17.0.0/16"]) == ["10.201.0.0/26"]


def test_when_all_are_taken_it_says_so() -> None:
    with pytest.raises(PrerequisiteError, match=r"no free subnet left in 10\.201\.0\.0/16"):
        first(1, [str(POOL)])


@given(st.lists(st.tuples(st.integers(0, 2**16 - 1), st.integers(17, 32)), max_size=30))
def test_none_overlaps_what_is_taken_and_the_answer_is_stable(places: list[tuple[int, int]]) -> None:
    taken = [f"{POOL.network_address + offset}/{length}" for offset, length in places]
    networks = [IPv4Network(text, strict=False) for text in taken]
    try:
        found = first(20, taken)
    except PrerequisiteError:
        return
    assert found == first(20, list(reversed(taken)))
    assert not [one for one in found for other in networks if IPv4Network(one).overlaps(other)]
    assert len(set(found)) == 20
