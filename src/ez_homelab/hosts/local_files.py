"""Files of this machine, changed so that neither a crash, a full disk nor a planted link can do harm.

Folders are entered step by step through descriptors, so that nobody can swap a folder for a link between a check and
its use. A symbolic link on the way is followed only if it belongs to root or to the caller: an administrator may move
/opt/stacks to another disk, but an app that owns its configuration folder cannot lead a write elsewhere. What a link
leads to must exist.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shlex
import stat
from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError
from ez_homelab.hosts.protocol import FileState

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPORARY_PREFIX = ".ez-homelab-"
TEMPORARY_SUFFIX = ".tmp"
_MOST_LINKS = 40
_REASONS = {
    errno.ENOSPC: ("the disk is full", "see what fills it (space, or number of files): df -h {folder}; df -i {folder}"),
    errno.EDQUOT: ("the disk quota is used up", "see what fills it: df -h {folder}"),
    errno.EROFS: ("the file system is mounted read-only", "see how it is mounted: findmnt -T {folder}"),
    errno.EACCES: ("this user may not do that", "run it as root (sudo)"),
    errno.EPERM: ("only root may do that, and nobody where a file is immutable", "as root, look: lsattr -d {path}"),
    errno.EISDIR: ("a folder is where the file should be", "look at it and move it away: ls -la {path}"),
    errno.ENOTDIR: ("a file is where a folder should be", "look for it and move it away: namei -l {path}"),
    errno.EBUSY: ("something is mounted there", "see what: findmnt -T {path}"),
    errno.ELOOP: ("a symbolic link is where none may be, or leads in a circle", "look at it: namei -l {path}"),
    errno.ENOENT: ("a symbolic link on the way leads nowhere; is its disk mounted?", "look at it: namei -l {path}"),
}


@contextlib.contextmanager
def told_as_command_error(failed: str, path: str, host_name: str) -> Iterator[None]:
    """Turn an `OSError` inside into a `CommandError` with cause and fix; `failed` is like "was not written"."""
    try:
        yield
    except OSError as error:
        cause, fix = _REASONS.get(error.errno or 0, ("", "look at it: ls -la {folder}"))
        raise CommandError(
            f"{path} {failed} on {host_name}",
            evidence=error.strerror or str(error),
            cause=cause,
            fix=fix.format(path=shlex.quote(path), folder=shlex.quote(path.rpartition("/")[0] or "/")),
        ) from error


def is_temporary(name: str) -> bool:
    """Whether this is the name of a file that a write has begun and not yet renamed into place."""
    return name.startswith(TEMPORARY_PREFIX) and name.endswith(TEMPORARY_SUFFIX)


@contextlib.contextmanager
def entered(folder: str, *, make: bool) -> Iterator[int]:
    """A descriptor of the folder while the context lives; with `make`, missing folders are made (0755)."""
    descriptor = _enter(folder, make=make)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_file(path: str) -> bytes | None:
    """The content; None where there is no such file."""
    try:
        # Not blocking, because an app may have put a named pipe there that nobody ever writes to.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a plain file", path)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def state_of(path: str) -> FileState | None:
    """What is at the path, links not followed; None where nothing is."""
    try:
        seen = os.lstat(path)
        if not stat.S_ISREG(seen.st_mode):
            return FileState("", stat.S_IMODE(seen.st_mode) & 0o777, seen.st_uid, seen.st_gid)
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            seen = os.fstat(file.fileno())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return FileState(digest, stat.S_IMODE(seen.st_mode) & 0o777, seen.st_uid, seen.st_gid)


def files_below(folder: str) -> list[str] | None:
    """All that is no folder below the folder, sorted, temporary files left out; None where there is no folder."""
    found: list[str] = []
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            entries = list(os.scandir(current))
        except (FileNotFoundError, NotADirectoryError):
            if current == folder:
                return None
            continue  # removed while we looked
        waiting.extend(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
        found.extend(e.path for e in entries if not e.is_dir(follow_symlinks=False) and not is_temporary(e.name))
    return sorted(found)


def write_file(path: str, content: bytes, *, mode: int, uid: int, gid: int) -> None:
    """Put the file there whole, or leave everything as it was and raise `OSError`."""
    parent, _, name = path.rpartition("/")
    with entered(parent, make=True) as folder:
        _sweep(folder)
        temporary, descriptor = _begin(folder, mode)
        try:
            _fill(descriptor, content, mode=mode, uid=uid, gid=gid)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
        finally:
            os.close(descriptor)
        _flush_folder(folder)


def remove_file(path: str, prunable: list[str]) -> None:
    """Remove the file, then those of the folders (innermost first) that are empty."""
    parent, _, name = path.rpartition("/")
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), entered(parent, make=False) as folder:
        os.unlink(name, dir_fd=folder)
        _flush_folder(folder)
    for candidate in prunable:
        above, _, name = candidate.rpartition("/")
        try:
            with entered(above, make=False) as folder:
                os.rmdir(name, dir_fd=folder)
        except FileNotFoundError:
            continue
        except OSError:  # not empty, a mount point, a link: whatever it is, it stays
            return


def _enter(path: str, *, make: bool) -> int:
    steps = path.split("/")[:0:-1]
    own = len(steps)
    links = 0
    here = os.open("/", os.O_PATH)
    try:
        while steps:
            # Where a link leads is never made: its disk may not be mounted, and the root disk would fill instead.
            ahead = _step(here, steps.pop(), make=make and len(steps) < own)
            own = min(own, len(steps))
            if not _is_link(ahead):
                os.close(here)
                here = ahead
                continue
            links += 1
            steps += _link_steps(ahead, path, links)
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
    finally:
        os.close(here)


def _step(here: int, name: str, *, make: bool) -> int:
    flags = os.O_PATH | os.O_NOFOLLOW
    name = name or "."
    try:
        return os.open(name, flags, dir_fd=here)
    except FileNotFoundError:
        if not make:
            raise
    with contextlib.suppress(FileExistsError):  # somebody else was faster
        _make_folder(here, name)
    return os.open(name, flags, dir_fd=here)


def _make_folder(here: int, name: str) -> None:
    os.mkdir(name, 0o755, dir_fd=here)
    made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
    try:
        os.fchmod(made, 0o755)  # the caller's umask may have taken bits away
    finally:
        os.close(made)
    above = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
    try:
        _flush_folder(above)
    finally:
        os.close(above)


def _is_link(descriptor: int) -> bool:
    return stat.S_ISLNK(os.fstat(descriptor).st_mode)


def _link_steps(link: int, path: str, links: int) -> list[str]:
    """Where the link leads, as steps in the order in which they are popped. Closes the link's descriptor."""
    try:
        owner = os.fstat(link).st_uid
        target = os.readlink("", dir_fd=link)
    finally:
        os.close(link)
    if owner not in (0, os.geteuid()):
        raise CommandError(
            f"{path} is not used: a symbolic link on the way to it belongs to user {owner}",
            evidence=f"the link leads to {target}",
            cause="a program that may write there put the link there",
            fix=f"look for it, and remove it or give it to root (chown -h): namei -l {shlex.quote(path)}",
        )
    if links > _MOST_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    steps = target.split("/")[::-1]
    return [*steps, "/"] if target.startswith("/") else steps


def _begin(folder: int, mode: int) -> tuple[str, int]:
    """A new file only its owner can open, locked: the lock is how `_sweep` sees that its writer lives."""
    while True:
        name = f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}{TEMPORARY_SUFFIX}"
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode & 0o600, dir_fd=folder)
        if _try_lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
            return name, descriptor
        os.close(descriptor)  # a sweep came between opening and locking, and removes it


def _fill(descriptor: int, content: bytes, *, mode: int, uid: int, gid: int) -> None:
    """Owner and mode first, then the content, so that it is never open to more people than the finished file."""
    made = os.fstat(descriptor)
    if (made.st_uid, made.st_gid) != (uid, gid):
        os.fchown(descriptor, uid, gid)
    os.fchmod(descriptor, mode)
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)


def _sweep(folder: int) -> None:
    """Remove what killed writers left in the folder."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if is_temporary(entry.name) and entry.is_file(follow_symlinks=False)]
    for name in names:
        with contextlib.suppress(OSError):  # its writer was done, or it is not ours to open
            _remove_if_abandoned(folder, name)


def _remove_if_abandoned(folder: int, name: str) -> None:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        if _try_lock(descriptor):
            os.unlink(name, dir_fd=folder)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool | None:
    """Whether the file could be locked; None where the file system knows no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _flush_folder(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot flush folders
            raise
