"""Are the folders that apps are given there, and is the disk they should be on mounted?"""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ez_homelab.doctor.finding import CouldNotLook, Finding, Subject, content_of
from ez_homelab.prerequisites.survey import looking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed


class DataPaths:
    """Data folders: an app started over an unmounted disk fills the system's own, and shows an empty library."""

    name = "data-paths"
    about = "the folders that apps are given"

    def probes(self, subject: Subject) -> Mapping[str, Command]:
        """What is mounted, what should be, and which of the folders are there. Nothing where no app has one."""
        if not subject.data_paths:
            return {}
        return {
            "mounted": content_of("/proc/self/mounts"),
            "declared": content_of("/etc/fstab"),
            "kinds": looking("stat", "--dereference", "--format=%F:%n", "--", *subject.data_paths),
        }

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:
        """`data-path-not-mounted`, `data-path-missing`, `data-path-not-a-folder`."""
        if not subject.data_paths:
            return ()
        if not answers["mounted"].ok:
            raise CouldNotLook(answers["mounted"].last_line)
        mounted = {point for point, _ in _entries(answers["mounted"].stdout)}
        declared = _entries(answers["declared"].stdout) if answers["declared"].ok else []
        kinds = _kinds(answers["kinds"].stdout)
        found = (_judge(path, mounted, declared, kinds) for path in dict.fromkeys(subject.data_paths))
        return tuple(finding for finding in found if finding is not None)


def _entries(text: str) -> list[tuple[str, str]]:
    """Mount point and line, from fstab(5) or proc_pid_mounts(5); both write a space as \\040."""
    entries = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 2 and not line.lstrip().startswith("#") and fields[1].startswith("/"):
            point = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[1])
            entries.append((point.rstrip("/") or "/", " ".join(fields)))
    return entries


def _kinds(output: str) -> dict[str, str]:
    return {path: kind for kind, _, path in (line.partition(":") for line in output.splitlines())}


def _judge(path: str, mounted: set[str], declared: list[tuple[str, str]], kinds: dict[str, str]) -> Finding | None:
    above = {str(parent) for parent in (PurePosixPath(path), *PurePosixPath(path).parents)}
    for point, line in declared:
        if point in above and point not in mounted:
            return _not_mounted(path, point, line)
    if path not in kinds:
        return _missing(path)
    return None if kinds[path] == "directory" else _not_a_folder(path, kinds[path])


def _not_mounted(path: str, point: str, line: str) -> Finding:
    return Finding(
        "data-path-not-mounted",
        "error",
        f"{path} is on a disk that is not mounted",
        evidence=f"/etc/fstab: {line}",
        cause="the disk is unplugged, failed, or was not mounted at boot; apps would fill the system's own disk",
        fix=f"mount {shlex.quote(point)}",
    )


def _missing(path: str) -> Finding:
    return Finding(
        "data-path-missing",
        "error",
        f"the folder {path} is not there",
        evidence=f"stat: no {path}",
        cause="the lab gives it to apps, and nothing has made it yet; or its disk is not mounted",
        fix=f"mount its disk, or make the folder: mkdir -p {shlex.quote(path)}",
    )


def _not_a_folder(path: str, kind: str) -> Finding:
    return Finding(
        "data-path-not-a-folder",
        "error",
        f"{path} is not a folder",
        evidence=f"stat: {kind}",
        cause="the lab gives it to apps as a folder",
        fix="name a folder under `paths:` in homelab.yaml",
    )
