"""What a package edition is built from: its own folder, and the program of EZ-Homelab's own that runs in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_COMPILED = "__pycache__"
"""What Python leaves beside its sources wherever it runs them: it would make every checkout another image."""


def context_paths(folder: Path, runtime: Path | None = None) -> Iterator[tuple[str, Path]]:
    """Every path of the build context by its name there; also folders, and what is neither a file nor a folder.

    `folder` is the one with the Dockerfile; what is below `runtime` stands there as `runtime/<its name>/...`.
    """
    for path in sorted(folder.rglob("*")):
        yield path.relative_to(folder).as_posix(), path
    if runtime:
        for path in sorted(runtime.rglob("*")):
            below = path.relative_to(runtime)
            if _COMPILED not in below.parts:
                yield f"runtime/{runtime.name}/{below.as_posix()}", path
