"""What EZ-Homelab asks of a server, and nothing more: run a program, and read, write, compare and remove files.

Local, dry-run and fake hosts (and SSH hosts, later) all pass the suite in tests/hosts/conformance.py.
A command is an argument list. No implementation may hand one to a shell.
Paths are absolute and plain (no `..`, no `//`); any other raises `ValueError`, because only a bug makes one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run on a server.

    `timeout` is in seconds. `environment` is added to the server's own. `stdin` never appears in a process list,
    so that is where a secret goes. `changes` says whether it may change the server; only a command that says False
    is run by the dry-run host.
    """

    argv: tuple[str, ...]
    directory: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    timeout: float = 60.0
    changes: bool = True

    def __post_init__(self) -> None:
        if not self.argv or not self.argv[0]:
            raise ValueError("a command needs a program")
        if any("\0" in argument for argument in self.argv):
            raise ValueError("an argument may not contain a NUL byte")
        for name, value in self.environment.items():
            if not name or "=" in name or "\0" in name + value:
                raise ValueError(f"not a possible environment variable: {name!r}")

    def __str__(self) -> str:
        """The command as a person would type it (for messages only; nothing runs this text)."""
        import shlex

        return shlex.join(self.argv)


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended. `status` is its exit status, as a shell tells it: 128 + n where signal n ended it."""

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
    """What is at a path: the content's SHA-256 in hex, its mode bits (0o777 part), its owner.

    `sha256` is empty where the path holds no plain file (a symbolic link, a folder, a socket), so that it equals no
    file anybody wants there.
    """

    sha256: str
    mode: int
    uid: int
    gid: int

    @classmethod
    def of(cls, content: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> FileState:
        """The state that `Host.write` with the same arguments leaves behind."""
        return cls(hashlib.sha256(content).hexdigest(), mode, uid, gid)


@runtime_checkable
class Host(Protocol):
    """One server.

    Every method raises `UnreachableError` where the server could not be asked, and `CommandError` with cause and fix
    where it said no (no permission, no space, a folder where a file should be).
    """

    name: str

    async def run(self, command: Command, *, on_line: Callable[[str], None] | None = None) -> Completed:
        """Run it and return how it ended, whatever the status; 127 where the program is not there.

        `on_line` is called with each line of output (both streams, without its line end) as it comes. Bytes that are
        not UTF-8 become U+FFFD. Raises `CommandError` when the timeout passes; the program and all it started are
        ended first (SIGTERM, then SIGKILL), and so they are when the caller is cancelled. A command has ended when
        its program has: one that leaves a daemon behind is not waited for.
        """
        ...

    async def read(self, path: str) -> bytes | None:
        """The file's content, or None where there is no such file. Symbolic links are followed."""
        ...

    async def write(self, path: str, content: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
        """Put the file there whole: written beside, flushed to disk, renamed into place.

        Makes parent folders (0755, the caller's own). A reader sees the old file or the new one; on any error the
        old one is untouched. No moment exists in which somebody can read the content who may not read the file.
        A symbolic link at `path` is replaced, never followed.
        """
        ...

    async def states(self, paths: Iterable[str]) -> dict[str, FileState | None]:
        """For each path what is there; None where nothing is. One round trip, however many paths.

        A symbolic link at a path is not followed: it is not the file that `write` would have left.
        """
        ...

    async def list_files(self, folder: str) -> list[str] | None:
        """All files below the folder, as sorted absolute paths; None where there is no such folder.

        Symbolic links are listed and not followed. The temporary files of `write` are not listed.
        """
        ...

    async def remove(self, path: str, *, prune_below: str | None = None) -> None:
        """Remove the file; no error where it is not there.

        Of its parent folders, those that lie below `prune_below` and are empty then go too; `prune_below` itself
        stays, and without it every folder stays. A mount point stays.
        """
        ...

    def lock(self, path: str, holder: str) -> AbstractAsyncContextManager[str]:
        """Hold an exclusive lock named by `path` while the context lives; it ends with the holder, also by SIGKILL.

        The context's value is the text of an earlier holder that ended without giving the lock back (it was killed, or
        the power went); empty where the last one did.
        `holder` says who, with what command and since when. Raises `LockedError` at once where another holds it, with
        that one's `holder` text as evidence. Programs started meanwhile do not hold the lock on.
        """
        ...


def command(
    *argv: str,
    stdin: bytes = b"",
    timeout: float = 60.0,
    directory: str | None = None,
    environment: Mapping[str, str] | None = None,
    changes: bool = True,
) -> Command:
    """A `Command` from plain arguments. Say `changes=False` for one that only looks."""
    return Command(
        tuple(argv), directory=directory, environment=environment or {}, stdin=stdin, timeout=timeout, changes=changes
    )


def checked_path(path: str) -> str:
    """The path itself; raises `ValueError` unless it is absolute and plain. For implementations of `Host`."""
    if not path.startswith("/") or "\0" in path or any(part in ("", ".", "..") for part in path[1:].split("/")):
        raise ValueError(f"not an absolute, plain path: {path!r}")
    return path


def parents_below(path: str, top: str | None) -> list[str]:
    """The folders above `path` that lie below `top` (`""`: the root), innermost first: what `remove` may prune."""
    if top is None or not path.startswith(f"{top}/"):
        return []
    parts = path[len(top) + 1 :].split("/")[:-1]
    return ["/".join((top, *parts[: length + 1])) for length in reversed(range(len(parts)))]


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
