"""What unit tests of several rooms share: a starter lab and a server whose Docker engine is in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from engine_in_memory import LabOnFakeServer
from hypothesis import settings

if TYPE_CHECKING:
    from pathlib import Path


# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabOnFakeServer:
    """A starter lab in a folder of its own, with its own key, and the server that it is applied to."""
    monkeypatch.setenv("EZ_SECRETS_KEY", str(tmp_path / "key.txt"))
    return LabOnFakeServer(tmp_path)
