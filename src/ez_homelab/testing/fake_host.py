"""A server in memory, for tests of what is done to servers: fast, scripted, and able to fail at any chosen moment.

    fake = FakeHost(files={"/etc/hostname": b"box\\n"})
    fake.answer(("docker", "info"), stdout="{}")
    fake.fail_at(3, Killed(), after=True)  # the third operation is done, and then our process is gone

It keeps the contract's rules for files and locks; it knows no links, no permissions and no running programs.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError, UnreachableError
from ez_homelab.hosts.memory import MemoryFile, MemoryLocks
from ez_homelab.hosts.protocol import Completed, FileState, checked_path, parents_below

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from ez_homelab.hosts.protocol import Command

    Answer = Callable[[Command], Completed]


class Killed(BaseException):
    """Our own process was killed. From then on the host raises it for everything, until `revive`.

    No `except Exception` sees it, and clean-up code that uses the host has no effect, as after a true SIGKILL.
    """


class FakeHost:
    """A `Host` in memory. `operations` is one line for each thing asked of it, `commands` every command run."""

    def __init__(self, name: str = "fake", *, files: Mapping[str, bytes] | None = None) -> None:
        self.name = name
        self.files: dict[str, MemoryFile] = {}
        self.folders: set[str] = set()
        self.commands: list[Command] = []
        self.operations: list[str] = []
        self.unreachable = ""
        """Why the server cannot be reached; empty where it can be."""
        self._locks = MemoryLocks(name)
        self._exact: dict[tuple[str, ...], Answer] = {}
        self._matching: list[tuple[Callable[[Command], bool], Answer]] = []
        self._faults: dict[int, tuple[BaseException, bool]] = {}
        self._dead: Killed | None = None
        for path, content in (files or {}).items():
            self._put(path, MemoryFile(content))

    def answer(
        self,
        wanted: tuple[str, ...] | Callable[[Command], bool],
        *,
        status: int = 0,
        stdout: str = "",
        stderr: str = "",
        does: Answer | None = None,
    ) -> None:
        """Script what a command answers: an exact argument list, or all for which `wanted(command)` holds.

        `does`, if given, makes the answer and may change the host or raise. An exact answer goes before a matching
        one, a later before an earlier. A command without an answer ends with 127, as a missing program does.
        """

        def fixed(command: Command) -> Completed:
            return Completed(command, status, stdout, stderr)

        if callable(wanted):
            self._matching.insert(0, (wanted, does or fixed))
        else:
            self._exact[wanted] = does or fixed

    def fail_at(self, number: int, error: BaseException, *, after: bool = False) -> None:
        """Raise `error` at the operation with this number (from 1, as in `operations`), before or after it is done."""
        self._faults[number] = (error, after)

    def revive(self) -> None:
        """Our process is started again after `Killed`: its death freed its locks, the files are as they were."""
        self._dead = None
        self._locks.left.update(self._locks.held)
        self._locks.held.clear()

    async def run(self, command: Command, *, on_line: Callable[[str], None] | None = None) -> Completed:
        """Give the scripted answer; `on_line` gets its standard output, then its standard error."""
        async with self._operation(f"run {command}"):
            self.commands.append(command)
            completed = self._answer_to(command)(command)
            if on_line is not None:
                for line in (completed.stdout + completed.stderr).splitlines():
                    on_line(line)
        return completed

    async def read(self, path: str) -> bytes | None:
        """See `Host.read`."""
        checked_path(path)
        async with self._operation(f"read {path}"):
            self._refuse(path)
            return self.files[path].content if path in self.files else None

    async def write(self, path: str, content: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
        """See `Host.write`."""
        checked_path(path)
        async with self._operation(f"write {path}"):
            self._refuse(path)
            self._refuse_below_file(path)
            self._put(path, MemoryFile(content, mode, uid, gid))

    async def states(self, paths: Iterable[str]) -> dict[str, FileState | None]:
        """See `Host.states`."""
        wanted = [checked_path(path) for path in paths]
        async with self._operation(f"states of {len(wanted)} paths"):
            return {path: self._state(path) for path in wanted}

    async def list_files(self, folder: str) -> list[str] | None:
        """See `Host.list_files`."""
        checked_path(folder)
        async with self._operation(f"list_files {folder}"):
            if folder not in self.folders:
                return None
            return sorted(path for path in self.files if path.startswith(f"{folder}/"))

    async def remove(self, path: str, *, prune_below: str | None = None) -> None:
        """See `Host.remove`."""
        checked_path(path)
        async with self._operation(f"remove {path}"):
            self._refuse(path)
            self.files.pop(path, None)
            for folder in parents_below(path, prune_below):
                if any(other.startswith(f"{folder}/") for other in (*self.files, *self.folders)):
                    return
                self.folders.discard(folder)

    @contextlib.asynccontextmanager
    async def lock(self, path: str, holder: str) -> AsyncIterator[str]:
        """See `Host.lock`; freed by `revive` where the holder was `Killed`."""
        async with contextlib.AsyncExitStack() as stack:
            async with self._operation(f"lock {path}"):
                left = stack.enter_context(self._locks.hold(path, holder))
            try:
                yield left
            finally:
                if self._dead is not None:
                    self._locks.left[path] = holder

    @contextlib.asynccontextmanager
    async def _operation(self, text: str) -> AsyncIterator[None]:
        """Count it, and raise what is due before or after it."""
        await asyncio.sleep(0)  # others may go on meanwhile, as with a true server
        if self._dead is not None:
            raise self._dead
        if self.unreachable:
            raise UnreachableError(
                f"{self.name} could not be reached",
                evidence=self.unreachable,
                cause="it is switched off, or its address is wrong",
                fix=f"see that {self.name} is on and answers",
            )
        self.operations.append(text)
        error, after = self._faults.get(len(self.operations), (None, False))
        if error is not None and not after:
            self._raise(error)
        yield
        if error is not None:
            self._raise(error)

    def _raise(self, error: BaseException) -> None:
        if isinstance(error, Killed):
            self._dead = error
        raise error

    def _answer_to(self, command: Command) -> Answer:
        if command.argv in self._exact:
            return self._exact[command.argv]
        return next((answer for holds, answer in self._matching if holds(command)), _not_found)

    def _state(self, path: str) -> FileState | None:
        if path in self.folders:
            return FileState("", 0o755, 0, 0)
        return self.files[path].state if path in self.files else None

    def _put(self, path: str, file: MemoryFile) -> None:
        self.files[checked_path(path)] = file
        self.folders.update(parents_below(path, ""))

    def _refuse_below_file(self, path: str) -> None:
        for folder in parents_below(path, ""):
            if folder in self.files:
                raise CommandError(
                    f"{path} was not written on {self.name}",
                    evidence=f"{folder} is a file",
                    cause="a file is where a folder should be",
                    fix=f"look for it and move it away: namei -l {path}",
                )

    def _refuse(self, path: str) -> None:
        if path in self.folders:
            raise CommandError(
                f"{path} is a folder on {self.name}",
                cause="a folder is where the file should be",
                fix=f"look at it and move it away: ls -la {path}",
            )


def _not_found(command: Command) -> Completed:
    return Completed(command, 127, "", f"{command.argv[0]}: command not found\n")
