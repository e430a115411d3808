"""Ports for the programs of a front."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from ez_homelab.testing.front import free_port

if TYPE_CHECKING:
    import pytest


def test_a_port_is_given_once_also_while_nothing_listens_on_it_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "sample", lambda ports, count: [*ports][:count])
    assert free_port() != free_port()
