"""overrides/files/<stack>/<path>: texts that a person wrote on a server, taken into the lab and used as they are.

A compose.yaml is not among them: what was changed there becomes an override of its apps. Nor is what holds secrets.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from ez_homelab.config import rules
from ez_homelab.config.files import Edit, read_text
from ez_homelab.config.load import lab_file_error
from ez_homelab.config.overrides import FOLDER
from ez_homelab.errors import Fault, FaultyFileError
from ez_homelab.yaml_text import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

FILES_FOLDER = f"{FOLDER}/files"
MAX_BYTES = 1_000_000
"""Of one file: people edit configuration, not data."""
MAX_FILES = 500

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

Adopted = tuple[str, str]
"""A stack's name, and the file's path below its folder."""


class NotAdoptedError(FaultyFileError):
    """A text that was written on a server cannot become the lab's; each reason has its place. Nothing was changed."""

    code = "not-adopted"


def adopt_file(folder: Path, stack: str, path: str, content: bytes) -> Edit:
    """The edit that takes the text at `path`, below the stack's folder on the server, into the lab in `folder`.

    Raises `NotAdoptedError` where it may not or cannot be.
    """
    reason = _refused(stack, path) or _unfit(content)
    if reason:
        raise not_adopted(path, (Fault(path, 0, 0, reason),))
    place = folder / FILES_FOLDER / stack / path
    return Edit(place, read_text(place) if place.exists() else "", content.decode())


def not_adopted(path: str, faults: tuple[Fault, ...]) -> NotAdoptedError:
    """The error that tells all reasons at once."""
    return NotAdoptedError(
        f"{path} cannot be taken into the lab as it stands; nothing was changed",
        faults,
        fix="change this in the lab by hand; or keep the file (ez-homelab drift keep), or overwrite it",
    )


def load_adopted_files(folder: Path) -> dict[Adopted, bytes]:
    """The texts in the lab folder. Raises `LabFileError` with every file that may not be there."""
    if not (folder / FILES_FOLDER).resolve().is_relative_to(folder.resolve()):
        raise lab_file_error((Fault(FILES_FOLDER, 0, 0, "it leads out of the lab folder", "remove the link"),))
    found: dict[Adopted, bytes] = {}
    faults: list[Fault] = []
    for label in _files(folder, FILES_FOLDER, faults):
        stack, _, path = label.removeprefix(f"{FILES_FOLDER}/").partition("/")
        content, reason = _content(folder / label)
        reason = (_refused(stack, path) if path else "it lies in no stack's folder") or reason
        if reason:
            faults.append(Fault(shown(label), 0, 0, reason, "remove it"))
        found[stack, path] = content
    if len(found) > MAX_FILES:
        faults.append(Fault(FILES_FOLDER, 0, 0, f"a lab has at most {MAX_FILES} adopted files"))
    if faults:
        raise lab_file_error(tuple(sorted(faults)))
    return found


def require_used(adopted: Mapping[Adopted, bytes], written: Collection[Adopted]) -> None:
    """Raises `LabFileError` where the lab writes no such file, so that its text would be without effect."""
    unused = sorted(set(adopted) - set(written))
    if unused:
        message = "no app of the lab has this file"
        faults = (Fault(f"{FILES_FOLDER}/{stack}/{path}", 0, 0, message, "remove it") for stack, path in unused)
        raise lab_file_error(tuple(faults))


def _refused(stack: str, path: str) -> str:
    """Why the lab takes no text for this file; empty where it does."""
    parts = path.split("/")
    if complaint := rules.stack_name(stack):
        return complaint[0]
    if any(part in ("", ".", "..") for part in parts) or _UNSEEN.search(path) or len(path) > 1000:
        return "this is no plain path below a stack's folder"
    if ".env" in parts or parts[0] == "secrets":
        return "it holds secrets, which are kept encrypted and never as text in the lab"
    if any(part.startswith(".ez-homelab") for part in parts):
        return "it is this program's own mark"
    return "what it says becomes an override of its apps (overrides/APP.yaml)" if path == "compose.yaml" else ""


def _unfit(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        return f"it is larger than {MAX_BYTES:,} bytes"
    try:
        content.decode()
    except UnicodeDecodeError:
        return "it is no text (UTF-8)"
    return ""


def _files(folder: Path, label: str, faults: list[Fault]) -> Iterator[str]:
    """All that is no folder below `label`, in the order of the names. A folder that is a link is a fault."""
    try:
        entries = sorted(os.scandir(folder / label), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        faults.append(Fault(shown(label), 0, 0, f"cannot be read: {error.strerror}"))
        return
    for entry in entries:
        below = f"{label}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _files(folder, below, faults)
        else:
            yield below


def _content(path: Path) -> tuple[bytes, str]:
    """The content, and why it is not taken. A link could lead out of the lab, and a pipe never ends."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        return b"", "it is a link" if path.is_symlink() else f"it cannot be read: {error.strerror}"
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b"", "it is no file"
        content = file.read(MAX_BYTES + 1)
    return content, _unfit(content)
