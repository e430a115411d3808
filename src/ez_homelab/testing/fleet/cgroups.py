"""Control groups of a fleet: each server has one of its own in every hierarchy, and sees nothing above it.

They do two things: an engine inside a server can limit memory and processes, and the kernel itself keeps the list of
everything a fleet ever started, so that clean-up can miss nothing and hit nobody else.

Layout below each hierarchy: `ez-homelab-fleet/<fleet>/host` holds the fleet's helpers on the machine,
`ez-homelab-fleet/<fleet>/<server>` all of one server. With cgroup v2 a group that hands controllers down may hold no
process (kernel documentation, cgroup-v2, "No Internal Process Constraint"), so a server's processes lie in `init`
below it; the server's process 1 moves there by itself (boot.sh).
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ez_homelab.errors import CommandError, PrerequisiteError
from ez_homelab.testing.fleet.processes import kill, wait_until

_TOP = "ez-homelab-fleet"
_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """Where the machine's control groups are mounted: one folder with v2, one per controller with v1."""

    v2: bool
    mounts: tuple[tuple[Path, str], ...]
    """Each mount point and, with v1, the mount option that names its controllers."""

    @classmethod
    def of_this_machine(cls) -> Hierarchies:
        """What is mounted here. Raises `PrerequisiteError` where no control groups are."""
        if (_ROOT / "cgroup.controllers").is_file():
            return cls(v2=True, mounts=((_ROOT, ""),))
        found = v1_mounts(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
        if not found:
            raise PrerequisiteError(
                "no control groups are mounted under /sys/fs/cgroup",
                cause="without them no Docker engine can run either",
                fix="apt-get install cgroupfs-mount && cgroupfs-mount",
            )
        return cls(v2=False, mounts=found)


def v1_mounts(mountinfo: str) -> tuple[tuple[Path, str], ...]:
    """The v1 hierarchies in a mountinfo text (proc(5)): mount point and option naming the controllers."""
    found = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup":
            names = [option for option in options.split(",") if option not in {"rw", "ro", "xattr"}]
            names = [name for name in names if "=" not in name or name.startswith("name=")]
            found.append((Path(before.split(" ")[4]), ",".join(names)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class FleetGroups:
    """The control groups of one fleet, named by an id that no other fleet of this machine has."""

    hierarchies: Hierarchies
    fleet_id: str

    def create(self, member: str) -> None:
        """Make the groups of `host` or of a server; no error where they are there."""
        for folder in self._folders():
            for part in (folder.parent, folder, folder / member):
                part.mkdir(exist_ok=True)
                if not self.hierarchies.v2:
                    _inherit_cpuset(part)
            if self.hierarchies.v2:
                for part in (folder.parent.parent, folder.parent, folder):
                    _hand_down_controllers(part)

    def join_files(self, member: str, *, leaf: bool) -> list[Path]:
        """The files a process writes its number into to belong to `member`.

        `leaf` is true for a process that joins a booted server, false for its process 1 and for the host's helpers.
        """
        below = "init" if leaf and self.hierarchies.v2 else "."
        return [folder / member / below / "cgroup.procs" for folder in self._folders()]

    def pids(self, member: str | None = None) -> set[int]:
        """All processes of the member (of the fleet where none is named), those in containers too."""
        found: set[int] = set()
        for folder in self._folders():
            for group in _below(folder / member if member else folder):
                found |= _processes(group)
        return found

    def thaw(self, member: str | None = None) -> None:
        """Let everything that is frozen go on (a paused container is): a frozen process does not even die."""
        for folder in self._folders():
            for group in _below(folder / member if member else folder):
                for name, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                    # Not of this version of control groups, or gone meanwhile: nothing to let go on.
                    with suppress(OSError), (group / name).open("r+", encoding="ascii") as file:
                        file.write(value)

    def kill_all(self, member: str | None = None, *, seconds: float = 20) -> None:
        """End every process of the member or the fleet; raises `CommandError` where some do not end in time."""

        def gone() -> bool:
            self.thaw(member)
            left = self.pids(member)
            for pid in left:
                kill(pid)
            return not left

        if not wait_until(gone, seconds, pause=0.01):
            raise CommandError(
                f"some processes of the fleet {self.fleet_id} do not end",
                evidence=", ".join(str(pid) for pid in sorted(self.pids(member))),
            )

    def remove(self, member: str | None = None, *, seconds: float = 10) -> None:
        """Remove the member's or the fleet's groups, which must be empty; raises `CommandError` where they stay."""
        folders = [folder / member if member else folder for folder in self._folders()]
        if not wait_until(lambda: all(_remove_tree(folder) for folder in folders), seconds, pause=0.02):
            raise CommandError(f"control groups of the fleet {self.fleet_id} could not be removed")
        for folder in self._folders():
            _remove(folder.parent)  # stays where another fleet has groups in it

    def exist(self) -> bool:
        """Whether any group of the fleet is there."""
        return any(folder.exists() for folder in self._folders())

    def _folders(self) -> list[Path]:
        return [mount / _TOP / self.fleet_id for mount, _ in self.hierarchies.mounts]


def _below(folder: Path) -> list[Path]:
    """The folder and all below it, deepest first; empty where it is not there."""
    return [Path(path) for path, _, _ in os.walk(folder, topdown=False)]


def _processes(group: Path) -> set[int]:
    try:
        numbers = (group / "cgroup.procs").read_text(encoding="ascii").split()
    except OSError:  # removed meanwhile, or a threaded group, whose processes its parent lists
        return set()
    return {int(number) for number in numbers} - {0}


def _remove_tree(folder: Path) -> bool:
    return all(_remove(group) for group in _below(folder))


def _remove(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:  # busy: its last process is still being reaped
        return False
    return True


def _inherit_cpuset(group: Path) -> None:
    # A new cpuset group of v1 is empty, and no process can join it before it has processors and memory nodes.
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = group / name
        if file.is_file() and not file.read_text(encoding="ascii").strip():
            file.write_text((group.parent / name).read_text(encoding="ascii"), encoding="ascii")


def _hand_down_controllers(group: Path) -> None:
    for name in (group / "cgroup.controllers").read_text(encoding="ascii").split():
        try:
            (group / "cgroup.subtree_control").write_text(f"+{name}", encoding="ascii")
        except OSError:  # a controller of the machine that cannot be handed down, such as one bound to real-time tasks
            continue
