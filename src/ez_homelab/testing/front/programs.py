"""The programs of a front: each on free ports of 127.0.0.1, each gone with the process that started it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError, PrerequisiteError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

LOOPBACK = "127.0.0.1"
START_SECONDS = 30.0
STOP_SECONDS = 5.0
LOOK_EVERY = 0.03
# Below the range that Linux takes the ports of outgoing connections from (32768 and up): a port that was free a moment
# ago cannot have become one of those.
PORTS = range(20000, 32000)
_given: set[int] = set()
"""Ports that this process was given: each is given once, also while nothing listens on it yet."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on. Raises `PrerequisiteError` where none of 200 tried is free."""
    for port in random.sample(PORTS, 200):
        if port in _given:
            continue
        with socket.socket() as tried:
            try:
                tried.bind((LOOPBACK, port))
            except OSError:
                continue
            _given.add(port)
            return port
    raise PrerequisiteError(
        f"no free port from {PORTS.start} to {PORTS.stop - 1} on {LOOPBACK}",
        fix="end what listens on this machine's ports",
    )


class Program:
    """One child process in a process group of its own, its output in a file.

    The kernel ends it (PR_SET_PDEATHSIG) when the thread that started it ends: start it in the main thread.
    """

    def __init__(self, name: str, argv: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(os.environ) | dict(environment or {}),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Return once `ready` says so. Raises `CommandError` where the program ends first, or after 30 seconds."""
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if not self.running or time.monotonic() > deadline:
                raise CommandError(f"{self.name} does not answer", evidence=self._last_lines(), fix="read its log")
            time.sleep(LOOK_EVERY)

    def pause(self) -> None:
        """Let it hang: it keeps its sockets and answers nothing (SIGSTOP)."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as running out of memory does (SIGKILL)."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ask it to end (SIGTERM), then end it and every child of its own that is left."""
        if self.running:
            self.resume()
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def _last_lines(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]


def listens(port: int) -> bool:
    """Whether something takes connections on the port of 127.0.0.1."""
    with socket.socket() as tried:
        tried.settimeout(1)
        return tried.connect_ex((LOOPBACK, port)) == 0
