"""Version numbers as Docker and Compose print them, and the oldest that will do."""

from __future__ import annotations

import re

MINIMUM_ENGINE = (20, 10)
"""Traefik 3.7 asks for API 1.40 (Engine 19.03); 20.10 is the oldest engine that the tests run on."""

MINIMUM_COMPOSE = (2, 20)
"""The first with `include`. Nothing older is tried."""


def parse_version(text: str) -> tuple[int, ...]:
    """The leading numbers: `20.10.24+dfsg1` and `v20.10.24` give (20, 10, 24). Empty where there is none."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", text.strip())
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def docker_architecture(machine: str) -> str:
    """Docker's name for what `uname -m` prints; the name itself where Docker has no other."""
    names = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386", "i386": "386"}
    return names.get(machine.strip(), machine.strip())
