"""Password hashes: argon2id, in threads of their own that never take the machine from signed-in people."""

from __future__ import annotations

import asyncio
import os
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from .kinds import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 2
WAITING = 16
"""How many checks may wait for a thread. At some 40 ms each, the last of them waits a third of a second."""
BUSY_SECONDS = 2
NICE = 10

SHORTEST = 12
LONGEST = 256
FEWEST_DIFFERENT = 5
GUESSED_FIRST = frozenset(
    (
        *("password", "passwort", "passwordpassword", "secret", "geheim", "changeme", "letmein", "welcome"),
        *("willkommen", "iloveyou", "admin", "administrator", "homelab", "ezhomelab", "dragon", "football"),
        *("qwerty", "qwertz", "azerty", "qwertyuiop", "qwertyuiopas", "asdfghjkl", "asdfghjklzxcvbnm"),
        *("abc", "abcdef", "abcdefghijkl", "abcdefghijklmnopqrstuvwxyz"),
    )
)
"""Words that stay a bad password whatever digits and signs are put around them."""

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class Effort:
    """What one argon2id hash costs. Defaults: OWASP Password Storage Cheat Sheet (19 MiB, 2 passes, 1 lane)."""

    memory_kib: int = 19456
    passes: int = 2
    lanes: int = 1


OWASP = Effort()


class Passwords:
    """Hashes and checks. At most two at once, so a flood of sign-ins takes some 40 MiB and two slow threads."""

    def __init__(self, effort: Effort = OWASP) -> None:
        self._hasher = PasswordHasher(
            time_cost=effort.passes, memory_cost=effort.memory_kib, parallelism=effort.lanes, type=Type.ID
        )
        self._nobody = self._hasher.hash(os.urandom(16).hex())
        self._threads = ThreadPoolExecutor(THREADS, "password", initializer=_step_back)
        self._under_way = 0

    async def hash(self, password: str) -> str:
        """The PHC string of a password. Raises `Refused` (busy)."""
        return await self._run(lambda: self._hasher.hash(_normal(password)))

    async def fits(self, stored: str | None, password: str) -> bool:
        """Whether a password is the stored one. Where nothing is stored the same work is done, so that the time an
        answer takes does not tell which names exist. Raises `Refused` (busy)."""
        fits = await self._run(lambda: self._verified(stored or self._nobody, password))
        return fits and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether a hash was made with another effort than today's."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """End the threads; what waits is dropped."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _verified(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, _normal(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], Kind]) -> Kind:
        if self._under_way >= THREADS + WAITING:
            raise Refused("busy", BUSY_SECONDS)
        self._under_way += 1
        future = self._threads.submit(work)
        loop = asyncio.get_running_loop()
        # Counted down when the thread is free, which may be long after the asker has gone.
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        return await asyncio.wrap_future(future)

    def _done(self) -> None:
        self._under_way -= 1


def weakness(password: str, user: str) -> str:
    """What is wrong with a new password, in a sentence; empty where nothing is."""
    if len(password) < SHORTEST:
        return f"Use at least {SHORTEST} characters; a few unrelated words are easy to remember."
    if len(password) > LONGEST:
        return f"Use at most {LONGEST} characters."
    lowered = password.lower()
    if len(set(lowered)) < FEWEST_DIFFERENT:
        return "Use more different characters."
    letters = "".join(character for character in lowered if character.isalpha())
    if not letters or letters in GUESSED_FIRST or letters == user:
        return "This is one of the first passwords that anybody tries. Take a few unrelated words."
    return ""


def _normal(password: str) -> str:
    # The same letters may come composed or not, depending on the keyboard (RFC 8265, OpaqueString).
    return unicodedata.normalize("NFC", password[: LONGEST + 1])


def _step_back() -> None:
    # Linux keeps a nice value for each thread: everything else in the gate goes first. Where that is not allowed the
    # threads work all the same.
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
