"""Dockerfiles of package editions, taken apart as far as rules need it.

Source: the Dockerfile reference of the classic builder: one instruction a line, `\\` joins lines, lines that begin
with `#` are comments even between joined lines.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ez_homelab.catalog.build_context import context_paths

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ez_homelab.catalog.app import App

_MAX_BYTES = 1_000_000


class Instruction(NamedTuple):
    """One instruction: its first line (from 1), its name in capitals, the rest with joined lines as blanks."""

    line: int
    name: str
    rest: str

    def words(self) -> list[str]:
        """The rest split as a shell would, quotes removed; at blanks where its quotes do not match."""
        try:
            return shlex.split(self.rest)
        except ValueError:
            return self.rest.split()

    def options(self) -> dict[str, str]:
        """`--name=value` before the arguments."""
        found = {}
        for word in self.words():
            if not word.startswith("--"):
                break
            name, _, value = word.removeprefix("--").partition("=")
            found[name] = value
        return found

    def arguments(self) -> list[str]:
        """What follows the options; the list where it is written as JSON."""
        words = self.words()[len(self.options()) :]
        return _json_list(self.rest.partition("[")[2]) if words and words[0].startswith("[") else words


def _json_list(after_bracket: str) -> list[str]:
    try:
        found = json.loads(f"[{after_bracket}")
    except ValueError:
        return []
    return [item for item in found if isinstance(item, str)]


@dataclass(frozen=True)
class Dockerfile:
    """A service's edition. `file` is the Dockerfile's name relative to the app's folder, `folder` its build context.

    `runtime` is the folder of the program of EZ-Homelab's own that is in the context too, below `runtime/`.
    """

    service: str
    file: str
    folder: Path
    text: str
    instructions: tuple[Instruction, ...]
    runtime: Path | None = None

    def of(self, name: str) -> list[Instruction]:
        """The instructions of that name."""
        return [instruction for instruction in self.instructions if instruction.name == name]

    def last_stage(self) -> tuple[Instruction, ...]:
        """The instructions that make the image: those behind the last FROM."""
        begins = [number for number, instruction in enumerate(self.instructions) if instruction.name == "FROM"]
        return self.instructions[begins[-1] :] if begins else self.instructions

    def context(self) -> dict[str, Path]:
        """The files of the build context by their relative names."""
        return {
            name: path
            for name, path in context_paths(self.folder, self.runtime)
            if path.is_file() and not path.is_symlink()
        }


def dockerfiles(app: App) -> Iterator[Dockerfile]:
    """The Dockerfile of each service that has an edition."""
    for service, folder in app.image_folders.items():
        text = read(folder / "Dockerfile")
        name = (folder / "Dockerfile").relative_to(app.folder).as_posix()
        runtime = app.runtime_folder if service == app.main_service else None
        yield Dockerfile(service, name, folder, text, tuple(_instructions(text)), runtime)


def read(path: Path) -> str:
    """The file's text; bytes that are not UTF-8 are replaced, and only the first million is read."""
    with path.open("rb") as file:
        return file.read(_MAX_BYTES).decode(errors="replace")


def _instructions(text: str) -> Iterator[Instruction]:
    begun, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        begun = begun or number
        parts.append(stripped.removesuffix("\\").strip())
        if not stripped.endswith("\\"):
            yield _instruction(begun, " ".join(parts))
            begun, parts = 0, []
    if parts:
        yield _instruction(begun, " ".join(parts))


def _instruction(line: int, text: str) -> Instruction:
    name, _, rest = text.partition(" ")
    return Instruction(line, name.upper(), rest.strip())
