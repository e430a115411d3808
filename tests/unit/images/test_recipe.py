"""The base comes from the mirror that the server itself uses, where that is one of Debian's."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ez_homelab.images.recipe import Mirror, debian_mirror

CASES = yaml.safe_load((Path(__file__).parent / "mirrors.yaml").read_text())


@pytest.mark.parametrize("name", CASES)
def test_mirror(name: str) -> None:
    case = CASES[name]
    found = debian_mirror(case["os_release"], case["sources"])
    assert found == Mirror(**case.get("mirror", {}))


def test_sources_list_has_security_updates() -> None:
    lines = Mirror(main="http://m/debian", security="http://s/debian-security").sources_list().splitlines()
    assert "deb http://s/debian-security bookworm-security main" in lines
    assert "deb http://m/debian bookworm-updates main" in lines
