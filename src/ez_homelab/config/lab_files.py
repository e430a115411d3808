"""The lab's own files that say what it is: kept with every generation, and put back when one comes back.

Neither the secrets nor the lab's own catalog are among them: values must outlive every generation, and what an app of
the catalog was then is in what was rendered of it.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ez_homelab.config.files import Edit, read_text
from ez_homelab.config.load import LAB_FILE, included_files, load_lab
from ez_homelab.config.overrides import FOLDER
from ez_homelab.config.users import USERS_FILE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from ez_homelab.config.model import Lab

LOCK_FILE = "images.lock"


def lab_files(folder: Path) -> dict[str, bytes]:
    """Path in the lab's folder -> content: homelab.yaml, what it includes, users.yaml, overrides, the image lock."""
    return {name: (folder / name).read_bytes() for name in sorted({*_names(folder)}) if (folder / name).is_file()}


def load_kept(files: Mapping[str, bytes], app_ids: Collection[str]) -> Lab:
    """The lab that these files say, with what they include as it was then. Raises `LabFileError`."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        return load_lab(folder, app_ids)


def restoring(folder: Path, files: Mapping[str, bytes]) -> tuple[Edit, ...]:
    """The edits that make the lab's own files what they were; what came since and was not there then goes."""
    back = [(folder / name, content.decode(), False) for name, content in files.items()]
    gone = [(folder / name, "", True) for name in lab_files(folder).keys() - files.keys() if name != LOCK_FILE]
    edits = (
        Edit(path, read_text(path) if path.exists() else "", after, removes) for path, after, removes in back + gone
    )
    return tuple(edit for edit in edits if edit.removes or edit.before != edit.after)


def _names(folder: Path) -> Iterator[str]:
    yield LAB_FILE
    yield LOCK_FILE
    yield USERS_FILE
    yield from included_files(folder)
    overrides = folder / FOLDER
    if overrides.is_dir():
        yield from (path.relative_to(folder).as_posix() for path in overrides.rglob("*")
                    if path.is_file() and not path.is_symlink())  # fmt: skip
