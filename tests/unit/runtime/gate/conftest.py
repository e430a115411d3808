"""A gate for the tests of its core."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from gate_world import PASSWORD, Gate, open_gate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    """A gate where everybody has the same password."""
    with open_gate(tmp_path) as opened:
        for user in ("anna", "ben", "eve"):
            await opened.accounts.set_password(user, PASSWORD)
        yield opened
