"""One writer at a time, for files that two runs may make or replace."""

from __future__ import annotations

import contextlib
import fcntl
from typing import TYPE_CHECKING

from ez_homelab.hosts.local_files import entered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def folder_locked(folder: Path) -> Iterator[None]:
    """Wait until nobody else holds the folder, and hold it while the context lives; nothing is left behind.

    For moments only: who waits here says nothing. Raises `OSError` where there is no such folder.
    """
    with entered(str(folder), make=False) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # ends with the descriptor, and so with a kill
        yield
