from __future__ import annotations

import pytest

from ez_homelab.errors import UsageError
from ez_homelab.testing.fleet.base import base_root, engine_packages
from ez_homelab.testing.fleet.fleet import check_name, default_names


def test_the_first_server_is_core() -> None:
    assert default_names(3) == ["core", "remote1", "remote2"]
    with pytest.raises(UsageError):
        default_names(0)


@pytest.mark.parametrize("name", ["", "Core", "../core", "a b", "host", "-x", "a" * 32, "core\n"])
def test_a_name_that_cannot_be_a_host_name_and_a_folder_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_name(name)


@pytest.mark.parametrize(
    ("suite", "package"), [("../etc", "hello"), ("bookworm", "-o=x"), ("bookworm", "a b"), ("", "hello")]
)
def test_neither_suite_nor_package_can_smuggle_anything_in(suite: str, package: str) -> None:
    with pytest.raises(UsageError, match="not the name"):
        base_root(suite, [package])


def test_debian_13_needs_the_client_by_name() -> None:
    assert "docker-cli" in engine_packages("trixie")
    assert "docker-cli" not in engine_packages("bookworm")
