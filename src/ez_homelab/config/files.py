"""The lab's own files on disk: the starter, and an edit that is shown before it is written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ez_homelab.config.load import LAB_FILE
from ez_homelab.config.starter import starter_lab
from ez_homelab.config.users import FIRST_ADMIN, USERS_FILE, starter_users
from ez_homelab.errors import UsageError
from ez_homelab.hosts.local_files import told_as_command_error, write_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ez_homelab.config.model import ImageSource


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a file of the lab that is not written yet. A file that is not there is one without text.

    `removes`: the file goes.
    """

    path: Path
    before: str
    after: str
    removes: bool = False

    def diff(self) -> str:
        """The change as a unified diff."""
        from difflib import unified_diff

        name = self.path.name
        lines = unified_diff(self.before.splitlines(), self.after.splitlines(), name, name, lineterm="", n=2)
        return "\n".join(lines)

    def require_same(self) -> None:
        """Raises `UsageError` where the file changed since it was read."""
        if (read_text(self.path) if self.path.exists() else "") != self.before:
            raise UsageError(f"{self.path} changed in the meantime; nothing was written", fix="run the command again")

    def write(self) -> None:
        """Put the new text into place, whole, or remove the file. Raises as `require_same` does."""
        self.require_same()
        if self.removes:
            self.path.unlink(missing_ok=True)
        else:
            _write_whole(self.path, self.after)


def write_all(edits: Iterable[Edit]) -> None:
    """Write several edits, or none where one of the files changed since it was read."""
    wanted = [*edits]
    for edit in wanted:
        edit.require_same()
    for edit in wanted:
        edit.write()


def init_lab(folder: Path, domain: str, images: ImageSource, admin: str = FIRST_ADMIN) -> tuple[Path, ...]:
    """Write a commented starter lab with its first admin; returns the files.

    Raises `UsageError` where a lab is there already, or a name cannot be used.
    """
    files = starter_lab(domain, images) | {USERS_FILE: starter_users(admin)}
    if (folder / LAB_FILE).exists():
        raise UsageError(
            f"there is a lab in {folder} already", fix=f"edit {folder / LAB_FILE}, or choose another --lab"
        )
    with told_as_command_error("was not made", str(folder), "this machine"):
        folder.mkdir(parents=True, exist_ok=True)
    written = [folder / name for name in files if not (folder / name).exists()]
    # The lab file last: a folder that has one is a lab.
    for path in sorted(written, key=lambda path: path.name == LAB_FILE):
        _write_whole(path, files[path.name])
    return tuple(written)


def read_text(path: Path) -> str:
    """The text of a lab's file, with the line ends that it has; UTF-8, whatever the machine's own encoding is."""
    return path.read_bytes().decode()


def _write_whole(path: Path, text: str) -> None:
    with told_as_command_error("was not written", str(path), "this machine"):
        owner = _made_folder(path.parent)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        write_file(str(path), text.encode(), mode=mode, uid=owner.st_uid, gid=owner.st_gid)


def _made_folder(folder: Path) -> os.stat_result:
    """The folder, made where it is missing, for whom the folder above belongs to: a lab is not always root's."""
    if not folder.exists():
        above = _made_folder(folder.parent)
        folder.mkdir()
        os.chown(folder, above.st_uid, above.st_gid)
    return folder.stat()
