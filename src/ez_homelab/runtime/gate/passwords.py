"""Password hashes: argon2id, in threads of their own that never take the machine from signed-in people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """What one argon2id hash costs. Defaults: OWASP Password Storage Cheat Sheet (19 MiB, 2 passes, 1 lane)."""

    memory_kib: int = 19456
    passes: int = 2
    lanes: int = 1


OWASP = Effort()
