"""Is there room, in bytes and in files, where Docker and the stacks lie?"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ez_homelab.doctor.finding import CouldNotLook, Finding, Subject
from ez_homelab.prerequisites.survey import looking
from ez_homelab.render.desired import STACKS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed

GB = 1_000_000_000
DATA_ROOT = "/var/lib/docker"
BUILD_BYTES = 5 * GB
"""Building package editions: a Debian base (220 MB) twice, 0.2 to 0.6 GB per app, and the layers between."""
PULL_BYTES = 2 * GB
"""Pulling images: the first apps' are 0.1 to 0.6 GB each, and are unpacked beside their archives."""
OTHER_BYTES = GB // 2
FEW_FILES = 50_000
"""Where images are unpacked: a Debian base alone is 8,000 files."""
FEWEST_FILES = 1_000
"""Anywhere else."""
FULL = 0.9


@dataclass(frozen=True, slots=True)
class FileSystem:
    """One line of `df`, in bytes. `files` is 0 where the file system has no fixed number of them."""

    target: str
    size: int
    free: int
    files: int
    files_free: int


class Disk:
    """Room on the file systems that hold Docker's data, the stacks, and the system."""

    name = "disk"
    about = "how much room there is"

    def probes(self, subject: Subject) -> Mapping[str, Command]:  # noqa: ARG002
        """All mounted local file systems (a dead network one would hang), and where the engine keeps its data."""
        return {
            "df": looking("df", "-a", "-l", "-k", "--output=size,avail,itotal,iavail,target"),
            "data": looking("docker", "info", "--format", "{{.DockerRootDir}}"),
        }

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:
        """`disk-full`, `disk-nearly-full`, `disk-no-files-left`: one for each file system."""
        systems = _parse(answers["df"].stdout)
        if not systems:
            raise CouldNotLook(answers["df"].last_line)
        data = answers["data"].stdout.strip() if answers["data"].ok else ""
        wanted = {
            "/": OTHER_BYTES,
            STACKS_FOLDER: OTHER_BYTES,
            data or DATA_ROOT: BUILD_BYTES if subject.needs_build else PULL_BYTES,
        }
        needs: dict[FileSystem, dict[str, int]] = {}
        for path, size in wanted.items():
            needs.setdefault(_holding(path, systems), {})[path] = size
        return tuple(finding for system, paths in needs.items() for finding in _judge(system, paths, subject))


def _parse(output: str) -> list[FileSystem]:
    systems = []
    for line in output.splitlines()[1:]:
        fields = line.split(None, 4)
        if len(fields) == 5 and fields[0].isdecimal() and int(fields[0]) > 0:
            size, free, files, files_free = (int(field) if field.isdecimal() else 0 for field in fields[:4])
            systems.append(FileSystem(fields[4], size * 1024, free * 1024, files, files_free))
    return systems


def _holding(path: str, systems: list[FileSystem]) -> FileSystem:
    """The file system that a path lies on, or would lie on: the longest mount point above it, the newest of equals."""
    above = [s for s in systems if path == s.target or path.startswith(s.target.rstrip("/") + "/")]
    if not above:
        raise CouldNotLook(f"df names no file system for {path}")
    longest = max(len(system.target) for system in above)
    return [system for system in above if len(system.target) == longest][-1]


def _judge(system: FileSystem, paths: dict[str, int], subject: Subject) -> list[Finding]:
    path, needed = max(paths.items(), key=lambda item: item[1])
    evidence = f"{system.target}: {_gb(system.free)} free of {_gb(system.size)}"
    purpose = "images are built there" if subject.needs_build and needed == BUILD_BYTES else f"{path} lies there"
    found = []
    if system.free < needed:
        what = f"too little room on {system.target}: {_gb(needed)} are needed"
        found.append(Finding("disk-full", "error", what, evidence, purpose, _fix(system)))
    elif system.free < 2 * needed and system.free < (1 - FULL) * system.size:
        what = f"{system.target} is nearly full"
        found.append(Finding("disk-nearly-full", "warning", what, evidence, purpose, _fix(system)))
    fewest = FEW_FILES if needed > OTHER_BYTES else FEWEST_FILES
    if system.files and system.files_free < fewest:
        evidence = f"{system.target}: {system.files_free} of {system.files} inodes free"
        cause = "very many small files use up the file system's fixed number of them"
        what = f"{system.target} can hold hardly any more files"
        found.append(Finding("disk-no-files-left", "error", what, evidence, cause, _fix(system)))
    return found


def _fix(system: FileSystem) -> str:
    look = f"du -xh --max-depth=2 {shlex.quote(system.target)} | sort -h"
    return f"see what takes the room ({look}) and remove what is not needed"


def _gb(size: int) -> str:
    return f"{size / GB:.1f} GB"
