"""The lab of the cases, and fronts for it."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ez_homelab.testing.front import Front

if TYPE_CHECKING:
    from ez_homelab.testing.front.engine import Engine

LAB: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "lab.yaml").read_text(encoding="utf-8"))
AUTHELIA = "EZ_TEST_AUTHELIA"

_numbers = itertools.count(1)


def lab() -> dict[str, Any]:
    """The lab of the cases, to be changed at will."""
    return copy.deepcopy(LAB)


def outside() -> str:
    """An address outside the lab's network that no test had before: what one does locks nobody else out."""
    number = next(_numbers)
    return f"127.0.{2 + number // 250}.{1 + number % 250}"


def start(folder: Path, engine: Engine, described: dict[str, Any] | None = None) -> Front:
    """A front for the lab of the cases."""
    told = described or lab()
    return Front(folder, engine, told["policy"], told["people"], told["passwords"])
