from __future__ import annotations

import ipaddress
from itertools import pairwise

import pytest

from ez_homelab.errors import UsageError
from ez_homelab.testing.fleet.disk import engine_ranges
from ez_homelab.testing.fleet.network import address_of


@pytest.mark.parametrize(("index", "address"), [(0, "10.111.4.1"), (1, "10.111.4.11"), (244, "10.111.4.254")])
def test_addresses_follow_from_the_index(index: int, address: str) -> None:
    assert address_of("10.111.4.0/24", index) == address


@pytest.mark.parametrize(("subnet", "index"), [("10.111.4.0/24", 245), ("10.111.4.0/28", 5)])
def test_a_range_that_is_full_is_said_to_be(subnet: str, index: int) -> None:
    with pytest.raises(UsageError, match="no room"):
        address_of(subnet, index)


def test_engines_ranges_meet_neither_each_other_nor_any_fleet() -> None:
    fleets = ipaddress.ip_network("10.111.0.0/16")
    seen = []
    for index in range(1, 100):
        ranges = engine_ranges(index)
        pools = ranges["default-address-pools"]
        assert isinstance(pools, list)
        bridge = ipaddress.ip_network(str(ranges["bip"]), strict=False)
        seen += [bridge, ipaddress.ip_network(pools[0]["base"])]
    seen.sort()
    assert not any(network.overlaps(fleets) for network in seen)
    assert not any(first.overlaps(second) for first, second in pairwise(seen))
