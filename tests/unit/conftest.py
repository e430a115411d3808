"""What unit tests of several rooms share: a starter lab and a server whose Docker engine is in memory."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from engine_in_memory import LabOnFakeServer
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True, scope="session")
def nobody_waits_for_the_disk() -> Iterator[None]:
    """What is written down is not waited for: half of the time of tests of whole labs went there.

    Power cuts are tried on the test fleet, whose programs know nothing of this.
    """
    connect = sqlite3.connect

    def unsafe(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", unsafe)
        yield


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabOnFakeServer:
    """A starter lab in a folder of its own, with its own key, and the server that it is applied to."""
    monkeypatch.setenv("EZ_SECRETS_KEY", str(tmp_path / "key.txt"))
    return LabOnFakeServer(tmp_path)
