"""Processes of a fleet: how they are started, recorded so that a reused number is not mistaken, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError
from ez_homelab.testing.fleet.programs import SYSTEM_PATH, last_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Puts itself into the cgroups named before `--`, says its number, and becomes the program. A constant: data comes as
# arguments only. The number is the program's own, since exec keeps it.
_DETACH = """
log=$1; shift
while [ "$1" != -- ]; do echo $$ >"$1"; shift; done; shift
echo $$; exec "$@" >>"$log" 2>&1 </dev/null
"""
_JOIN = 'while [ "$1" != -- ]; do echo $$ >"$1"; shift; done; shift; exec "$@"'


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A process by number and start time (clock ticks since boot, proc(5) field 22): together they name only one."""

    pid: int
    start: int

    @property
    def alive(self) -> bool:
        """Whether this very process runs; a zombie does not."""
        return start_time(self.pid) == self.start

    def end(self) -> None:
        """End it at once (SIGKILL). No error where it has ended already."""
        if self.alive:
            kill(self.pid)


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None where there is none of that number or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return None if fields[0] in "ZX" else int(fields[19])


def record(pid: int) -> ProcessRecord:
    """The record of a process that runs now. Raises `CommandError` where it has ended."""
    start = start_time(pid)
    if start is None:
        raise CommandError(f"process {pid} of the fleet ended as soon as it was started")
    return ProcessRecord(pid, start)


def kill(pid: int) -> None:
    """SIGKILL; no error where the process has ended."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def wait_until(true: Callable[[], bool], seconds: float, pause: float = 0.005) -> bool:
    """Ask until it is true or the time is over; returns the last answer."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


def joined(cgroup_files: Sequence[Path], argv: Sequence[str]) -> list[str]:
    """The command that puts itself into the cgroups and then becomes `argv`."""
    return ["/bin/sh", "-c", _JOIN, "join", *map(str, cgroup_files), "--", *argv]


def start_detached(
    argv: Sequence[str], *, log: Path, cgroup_files: Sequence[Path], pass_fds: Sequence[int] = ()
) -> ProcessRecord:
    """Start a program that outlives its starter, in the given cgroups, its output in `log`; returns its record."""
    wrapped = ["setsid", "--fork", "/bin/sh", "-c", _DETACH, "detach", str(log), *map(str, cgroup_files), "--", *argv]
    ended = subprocess.run(
        wrapped,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8"},
        pass_fds=tuple(pass_fds),
        check=False,
    )
    number = ended.stdout.splitlines()[-1] if ended.stdout else ""
    if not number.isdigit():
        raise CommandError(f"`{argv[0]}` could not be started for the fleet", evidence=last_line(ended.stdout))
    return record(int(number))


def check_call(argv: Sequence[str], *, what: str, stdin: str = "") -> str:
    """Run a program on the machine itself; returns what it printed. Raises `CommandError` naming `what`."""
    ended = subprocess.run(
        list(argv), input=stdin, capture_output=True, text=True, env={"PATH": SYSTEM_PATH}, check=False
    )
    if ended.returncode != 0:
        raise CommandError(
            f"{what}: `{argv[0]}` ended with status {ended.returncode}", evidence=last_line(ended.stderr, ended.stdout)
        )
    return ended.stdout
