"""Running one program on this machine: its output as it comes, its whole process group ended when it must end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError
from ez_homelab.hosts.protocol import Completed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ez_homelab.hosts.protocol import Command

NOT_FOUND = 127
NOT_EXECUTABLE = 126
GRACE_SECONDS = 2.0
"""How long a process group may take over SIGTERM before it gets SIGKILL."""
DRAIN_SECONDS = 0.2
"""How long, after a program's end, its descendants may still add to its output."""
_POLL_SECONDS = 0.02


async def run_program(command: Command, on_line: Callable[[str], None] | None, host_name: str) -> Completed:
    """Run the command in a session of its own; see `Host.run`. Raises `CommandError` at its timeout.

    A descendant that makes a session of its own is beyond reach and lives on.
    """
    output = _Output(wants_lines=on_line is not None)
    try:
        transport = await _start(command, output)
    except OSError as error:
        return _not_started(command, error, host_name)
    try:
        async with asyncio.timeout(command.timeout) as limit:
            while (line := await output.lines.get()) is not None:
                if on_line is not None:
                    on_line(line)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise _too_slow(command, output, host_name) from error
    finally:
        if not output.exited.is_set():
            await _end_group(transport.get_pid(), output)
        transport.close()
    return Completed(command, _status(transport.get_returncode()), output.text(1), output.text(2))


class _Output(asyncio.SubprocessProtocol):
    """Collects both streams; `lines` ends with None once the program has ended and all it wrote was read."""

    def __init__(self, *, wants_lines: bool) -> None:
        self.lines: asyncio.Queue[str | None] = asyncio.Queue()
        self.exited = asyncio.Event()
        self._wants_lines = wants_lines
        self._received = {1: bytearray(), 2: bytearray()}
        self._told = {1: 0, 2: 0}
        self._closed = False

    def text(self, stream: int) -> str:
        return self._received[stream].decode(errors="replace")

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        received = self._received[fd]
        end = data.rfind(b"\n") + len(received)
        received += data
        if b"\n" in data:
            self._tell(fd, end)

    def _tell(self, fd: int, end: int) -> None:
        if self._wants_lines:
            for line in self._received[fd][self._told[fd] : end].split(b"\n"):
                self.lines.put_nowait(line.removesuffix(b"\r").decode(errors="replace"))
        self._told[fd] = end + 1

    def process_exited(self) -> None:
        # What the program itself wrote is in the pipe by now and will be read in the loop's next round. Waiting for
        # the pipe's end without a limit would wait for every daemon that the program left behind.
        self.exited.set()
        asyncio.get_running_loop().call_later(DRAIN_SECONDS, self._close)

    def connection_lost(self, _error: Exception | None) -> None:
        self._close()

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for fd, received in self._received.items():
            if self._told[fd] < len(received):
                self._tell(fd, len(received))
        self.lines.put_nowait(None)


async def _start(command: Command, output: _Output) -> asyncio.SubprocessTransport:
    transport, _ = await asyncio.get_running_loop().subprocess_exec(
        lambda: output,
        *command.argv,
        stdin=subprocess.PIPE if command.stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=command.directory,
        env={**os.environ, **command.environment},
        start_new_session=True,
    )
    stdin = transport.get_pipe_transport(0)
    if isinstance(stdin, asyncio.WriteTransport):
        stdin.write(command.stdin)
        stdin.close()
    return transport


async def _end_group(group: int, output: _Output) -> None:
    """SIGTERM to the group, SIGKILL to what is left of it after the grace; at once when cancelled meanwhile."""
    ended = False
    try:
        _signal_group(group, signal.SIGTERM)
        ended = await _has_ended(group)
    finally:
        if not ended:
            _signal_group(group, signal.SIGKILL)
    if not ended:
        await _has_ended(group)  # a killed program is gone a moment later, or hangs inside the kernel
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(output.exited.wait(), GRACE_SECONDS)


async def _has_ended(group: int) -> bool:
    """Whether nothing of the group runs any more, waiting for it as long as the grace."""
    clock = asyncio.get_running_loop().time
    patience = clock() + GRACE_SECONDS
    while _is_running(group):
        if clock() > patience:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True


def _is_running(group: int) -> bool:
    """Whether a member of the group runs. Signal 0 will not do: it also finds zombies that nobody collects."""
    return any(_running_group(entry) == group for entry in Path("/proc").iterdir() if entry.name.isdecimal())


def _running_group(process: Path) -> int | None:
    """The process group of a process that runs; None for one that has ended. Fields: proc(5), /proc/pid/stat."""
    try:
        state, _parent, group = (process / "stat").read_bytes().rpartition(b")")[2].split()[:3]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in (b"Z", b"X") else int(group)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # gone, or all that is left runs as another user
        os.killpg(group, number)


def _status(returncode: int | None) -> int:
    if returncode is None:
        return 128 + signal.SIGKILL
    return returncode if returncode >= 0 else 128 - returncode


def _not_started(command: Command, error: OSError, host_name: str) -> Completed:
    if command.directory is not None and error.filename == command.directory:
        raise CommandError(
            f"`{command.argv[0]}` was not started: its folder {command.directory} cannot be entered on {host_name}",
            evidence=error.strerror or str(error),
            cause="the folder was removed, or was never made",
            fix=f"look at it: ls -ld {command.directory}",
        ) from error
    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    reason = "command not found" if missing else error.strerror or str(error)
    return Completed(command, NOT_FOUND if missing else NOT_EXECUTABLE, "", f"{command.argv[0]}: {reason}\n")


def _too_slow(command: Command, output: _Output, host_name: str) -> CommandError:
    so_far = Completed(command, 0, output.text(1), output.text(2))
    said = so_far.last_line if so_far.stdout.strip() or so_far.stderr.strip() else "it printed nothing"
    return CommandError(
        f"`{command.argv[0]}` did not end within {command.timeout:g} s on {host_name} and was stopped",
        evidence=said,
        cause="it waits for something that does not come, or the machine is too busy",
        fix=f"run it by hand on {host_name} to see more: {command}",
    )
