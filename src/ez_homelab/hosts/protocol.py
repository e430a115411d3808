"""What EZ-Homelab asks of a server, and nothing more: run a program, and read, write, compare and remove files.

Local, dry-run and fake hosts (and SSH hosts, later) all pass the suite in tests/hosts/conformance.py.
A command is an argument list. No implementation may hand one to a shell.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run on a server.

    `timeout` is in seconds. `environment` is added to the server's own. `stdin` never appears in a process list,
    so that is where a secret goes.
    """

    argv: tuple[str, ...]
    directory: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    timeout: float = 60.0

    def __post_init__(self) -> None:
        if not self.argv or not self.argv[0]:
            raise ValueError("a command needs a program")
        if any("\0" in argument for argument in self.argv):
            raise ValueError("an argument may not contain a NUL byte")

    def __str__(self) -> str:
        """The command as a person would type it (for messages only; nothing runs this text)."""
        import shlex

        return shlex.join(self.argv)


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended."""

    command: Command
    status: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """Whether the exit status was 0."""
        return self.status == 0

    @property
    def last_line(self) -> str:
        """The last line the command said, standard error first: the evidence line of an error."""
        for stream in (self.stderr, self.stdout):
            lines = [line.strip() for line in stream.splitlines() if line.strip()]
            if lines:
                return lines[-1]
        return f"exit status {self.status}, no output"


@dataclass(frozen=True, slots=True)
class FileState:
    """What is at a path: the content's SHA-256 in hex, its mode bits (0o777 part), its owner."""

    sha256: str
    mode: int
    uid: int
    gid: int


@runtime_checkable
class Host(Protocol):
    """One server. Every method raises `UnreachableError` where the server could not be asked."""

    name: str

    async def run(self, command: Command, *, on_line: Callable[[str], None] | None = None) -> Completed:
        """Run it and return how it ended, whatever the status; 127 where the program is not there.

        `on_line` is called with each line of output (both streams) as it comes. Raises `CommandError` when the
        timeout passes; the program and all it started are ended first.
        """
        ...

    async def read(self, path: str) -> bytes | None:
        """The file's content, or None where there is no such file."""
        ...

    async def write(self, path: str, content: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
        """Put the file there whole: written beside, flushed to disk, renamed into place. Makes parent folders (0755)."""
        ...

    async def states(self, paths: Iterable[str]) -> dict[str, FileState | None]:
        """For each path what is there; None where there is no such file. One round trip, however many paths."""
        ...

    async def list_files(self, folder: str) -> list[str] | None:
        """All files below the folder, as sorted absolute paths; None where there is no such folder."""
        ...

    async def remove(self, path: str) -> None:
        """Remove the file, and the parent folders that this leaves empty. No error where it is not there."""
        ...

    def lock(self, path: str, holder: str) -> AbstractAsyncContextManager[None]:
        """Hold an exclusive lock named by `path` while the context lives; it ends with the holder, also by SIGKILL.

        Raises `LockedError` at once where another holds it, with that one's `holder` text as evidence.
        """
        ...


def command(*argv: str, stdin: bytes = b"", timeout: float = 60.0, directory: str | None = None) -> Command:
    """A `Command` from plain arguments."""
    return Command(tuple(argv), stdin=stdin, timeout=timeout, directory=directory)


async def run_checked(
    host: Host,
    wanted: Command,
    *,
    what: str,
    cause: str = "",
    fix: str = "",
    on_line: Callable[[str], None] | None = None,
) -> Completed:
    """Run it and return how it ended; raises `CommandError` with the evidence line where the status is not 0."""
    from ez_homelab.errors import CommandError

    completed = await host.run(wanted, on_line=on_line)
    if completed.ok:
        return completed
    raise CommandError(
        f"{what}: `{_program(wanted.argv)}` ended with status {completed.status} on {host.name}",
        evidence=completed.last_line,
        cause=cause,
        fix=fix or f"run it by hand on {host.name} to see more: {wanted}",
    )


def _program(argv: Sequence[str]) -> str:
    return " ".join(argv[:2])
