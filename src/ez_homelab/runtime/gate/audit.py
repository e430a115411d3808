"""What happened, for whoever looks after the lab: in the container's log and in the database. Never a secret."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .clock import Clock
    from .store import Store

log = logging.getLogger("gate.audit")

KEPT = 20_000
TRIM_EVERY = 500
LONGEST = 80


class Audit:
    """Writes events down; the oldest go when there are more than `KEPT`."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._written = 0

    def note(self, event: str, user: str, address: str = "", detail: str = "") -> None:
        """One event. What strangers typed is cut and quoted, so that it cannot pretend to be a line of its own."""
        user, address, detail = user[:LONGEST], address[:LONGEST], detail[:LONGEST]
        log.info("%s user=%s address=%s %s", event, json.dumps(user), json.dumps(address), json.dumps(detail))
        with self._store.transaction():
            self._store.change(
                "INSERT INTO audit (at, event, user, address, detail) VALUES (?, ?, ?, ?, ?)",
                *(self._clock(), event, user, address, detail),
            )
            self._trim()

    def _trim(self) -> None:
        self._written += 1
        if self._written % TRIM_EVERY == 0:
            self._store.change("DELETE FROM audit WHERE number <= (SELECT max(number) FROM audit) - ?", KEPT)
