"""Domains that belong to everybody, and that nobody pays for the list who does not need it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ez_homelab.config.public_suffix import is_public_suffix
from ez_homelab.config.rules import LOCAL_SUFFIXES, domain

INSTEAD = "use a local one such as `lab.localhost`"


@pytest.mark.parametrize("text", ["co.uk", "duckdns.org", "github.io", "foo.ck", "xn--55qx5d.cn", "home.arpa", "com"])
def test_strangers_have_names_below_it(text: str) -> None:
    assert is_public_suffix(text)


@pytest.mark.parametrize(
    "text", ["example.co.uk", "my-lab.duckdns.org", "example.org", "www.ck", "xn--zzzz--.xn--a.org"]
)
def test_what_is_somebodys_own(text: str) -> None:
    assert not is_public_suffix(text)


@pytest.mark.parametrize("suffix", LOCAL_SUFFIXES)
def test_a_name_below_a_local_suffix_is_somebodys_own(suffix: str) -> None:
    assert not is_public_suffix(f"lab.{suffix}")


@pytest.mark.parametrize("text", ["co.uk", "duckdns.org", "foo.ck"])
def test_a_lab_cannot_have_such_a_domain(text: str) -> None:
    complaint = domain(text)
    assert complaint is not None
    assert "strangers have names below it" in complaint[0]
    assert complaint[1] == INSTEAD


def test_a_public_name_of_ones_own_is_refused_for_another_reason() -> None:
    complaint = domain("my-lab.duckdns.org")
    assert complaint is not None
    assert "public suffix" not in complaint[0]


def test_a_lab_with_a_local_domain_never_loads_the_list() -> None:
    program = (
        "import sys; from ez_homelab.config.rules import domain; import ez_homelab.doctor;"
        "print(domain('lab.localhost'), 'publicsuffixlist' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "None False\n"
