"""A fleet: a router and servers on one machine, gone without a trace when its owner is."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ez_homelab.errors import UsageError
from ez_homelab.testing.fleet import base, disk, keys
from ez_homelab.testing.fleet.cgroups import FleetGroups, Hierarchies
from ez_homelab.testing.fleet.network import Router, address_of, free_subnet
from ez_homelab.testing.fleet.processes import ProcessRecord, record
from ez_homelab.testing.fleet.programs import check_prerequisites
from ez_homelab.testing.fleet.server import Server
from ez_homelab.testing.fleet.state import FILE_NAME, FleetState, ServerState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path("/var/lib/ez-homelab-fleet")
_LOCK = Path("/run/ez-homelab-fleet.lock")
_HALF = ".half-"  # before the name of a folder that is being made or removed, under the lock: else its maker died


class Fleet:
    """Test servers with one network. Get one from `up` or `load`; `with` takes it down at the end."""

    def __init__(self, folder: Path, state: FleetState) -> None:
        self.folder = folder
        self.state = state
        self.groups = FleetGroups(Hierarchies.of_this_machine(), _fleet_id(folder))
        self.servers = {name: Server(self, server) for name, server in state.servers.items()}

    # --- life --------------------------------------------------------------------------------------------------

    @classmethod
    def up(
        cls,
        servers: int = 1,
        *,
        names: Sequence[str] | None = None,
        suite: str = "bookworm",
        packages: Sequence[str] = (),
        folder: Path | None = None,
        subnet: str | None = None,
        keep: bool = False,
        say: Callable[[str], None] | None = None,
    ) -> Fleet:
        """Start a fleet of `servers` fresh Debian machines, `core` first, or of those in `names`.

        `packages` are in its servers from the start. The fleet goes with the calling process: should that die without
        `down`, the next `up` cleans up. With `keep` it stays until `down`. The default folder is a new one in `ROOT`.
        Raises `PrerequisiteError`, `UsageError` for names that cannot be, `CommandError`; nothing is left behind then.
        """
        check_prerequisites()
        wanted = list(names) if names is not None else default_names(servers)
        for name in wanted:
            check_name(name)
        target = (folder or ROOT / f"fleet-{secrets.token_hex(3)}").absolute()
        cls.clean_up_stale(target.parent)
        if target.parent != ROOT:
            cls.clean_up_stale()
        fleet = cls._reserve(target, suite, subnet, keep)
        try:
            fleet.start_router()
            for name in wanted:
                fleet.add(name, packages=packages, say=say)
        except BaseException:
            fleet.down()
            raise
        return fleet

    @classmethod
    def load(cls, folder: Path | str) -> Fleet:
        """The fleet in that folder, or of that name in `ROOT`. Raises `UsageError` where there is none."""
        path = (ROOT / folder).absolute()
        return cls(path, FleetState.load(path))

    @classmethod
    def clean_up_stale(cls, root: Path = ROOT) -> list[str]:
        """Remove all that is left of fleets in `root` whose owner died; returns their names."""
        removed = []
        with _locked():
            for folder in sorted(root.glob(f"{_HALF}*")):
                disk.remove(folder)
            for fleet in cls.all_in(root):
                if fleet.state.owner is not None and not fleet.state.owner.alive:
                    fleet.remove_all()
                    removed.append(fleet.state.name)
        return removed

    @classmethod
    def all_in(cls, root: Path = ROOT) -> list[Fleet]:
        """Every fleet with a folder in `root` that this version can read, sorted by name."""
        found = []
        for file in sorted(root.glob(f"[!.]*/{FILE_NAME}")):
            with suppress(UsageError):  # taken down meanwhile, or written by another version: not ours to touch
                found.append(cls.load(file.parent))
        return found

    def down(self) -> None:
        """End every process of the fleet and remove its disks and its folder. No error where it is gone already."""
        with _locked():
            self.remove_all()

    def remove_all(self) -> None:
        """What `down` does, for callers that hold the lock of all fleets."""
        for server in self.servers.values():
            base.keep_archives(server.folder / "plain/archives")
        self.groups.kill_all()
        for process in self._processes():
            process.end()  # those that are in no group of ours, should any be
        self.groups.remove()
        if self.folder.exists():
            half = self.folder.with_name(_HALF + self.folder.name)
            self.folder.rename(half)  # in one step, so that no folder without its state is ever left
            disk.remove(half)
        self.servers = {}

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    # --- servers -----------------------------------------------------------------------------------------------

    def add(
        self,
        name: str,
        *,
        suite: str | None = None,
        packages: Sequence[str] = (),
        say: Callable[[str], None] | None = None,
    ) -> Server:
        """Add a fresh server and boot it; `packages` are in it from the start, services among them running.

        Raises `UsageError` where the name is taken, `CommandError` where it does not start (it is removed then).
        """
        check_name(name)
        if name in self.servers:
            raise UsageError(f"the fleet has a server called {name} already")
        debian = suite or self.state.suite
        root = base.base_root(debian, packages, say=say)
        index = next(n for n in range(1, 1000) if all(n != other.index for other in self.state.servers.values()))
        state = ServerState(name, index, address_of(self.state.subnet, index), debian, str(root))
        self.state.servers[name] = state
        server = self.servers[name] = Server(self, state)
        try:
            server.create()
            self._restart_names()
            server.boot()
        except BaseException:
            self.remove(name)
            raise
        if say:
            say(f"{name} is up at {server.address}")
        return server

    def remove(self, name: str) -> None:
        """Take a server away, with its disk. Raises `UsageError` for a name the fleet does not have."""
        if name not in self.servers:
            raise UsageError(f"the fleet has no server called {name}")
        server = self.servers.pop(name)
        server.kill()
        server.set_online(True)
        del self.state.servers[name]
        disk.remove(server.folder)
        self._restart_names()

    # --- what servers need -------------------------------------------------------------------------------------

    @property
    def router(self) -> Router:
        """The fleet's router. Raises `UsageError` where it does not run (the machine was started anew)."""
        holder = self.state.helpers.get("router")
        if holder is None or not holder.alive:
            raise UsageError(
                f"the fleet {self.state.name} does not run any more", fix=f"ez-homelab fleet down {self.state.name}"
            )
        return Router(holder, self.state.subnet)

    @property
    def host_cgroup(self) -> list[Path]:
        """The files by which a helper on the machine becomes a process of this fleet."""
        return self.groups.join_files("host", leaf=False)

    def save(self) -> None:
        """Write the state down."""
        self.state.save(self.folder)

    # --- how ---------------------------------------------------------------------------------------------------

    @classmethod
    def _reserve(cls, folder: Path, suite: str, subnet: str | None, keep: bool) -> Fleet:
        """Make the folder, state and owner in it, in one step, so that a crash leaves nothing without an owner."""
        if any(character in str(folder) for character in ":,\\ \n"):
            raise UsageError(f"a fleet's folder may hold no colon, comma, space or backslash: {folder}")
        with _locked():
            if folder.exists():
                raise UsageError(f"{folder} is there already", fix="take another folder, or take that fleet down")
            chosen = subnet or free_subnet(other.state.subnet for other in cls.all_in(folder.parent))
            state = FleetState(folder.name, chosen, suite, None if keep else record(os.getpid()))
            beside = folder.with_name(_HALF + folder.name)
            beside.mkdir(parents=True, mode=0o700)
            state.save(beside)
            beside.rename(folder)
        return cls(folder, state)

    def start_router(self) -> None:
        """Bring up the network that servers are added to; `up` has done it."""
        self.groups.create("host")
        keys.make_key(self.folder / keys.CLIENT_KEY, f"fleet {self.state.name}")
        router, way_out = Router.start(self.state.subnet, folder=self.folder, cgroup_files=self.host_cgroup)
        self.state.helpers |= {"router": router.holder, "way-out": way_out}
        self.save()

    def _restart_names(self) -> None:
        for role in ("names", "names-offline"):
            process = self.state.helpers.pop(role, None)
            if process is not None:
                process.end()
        known = self.state.servers.values()
        self.state.helpers |= self.router.start_names(known, folder=self.folder, cgroup_files=self.host_cgroup)
        self.save()

    def _processes(self) -> Iterator[ProcessRecord]:
        yield from self.state.helpers.values()
        for server in self.state.servers.values():
            yield from server.forwarders.values()
            if server.init is not None:
                yield server.init


def default_names(servers: int) -> list[str]:
    """`core`, `remote1`, `remote2`, ... Raises `UsageError` for fewer than one."""
    if servers < 1:
        raise UsageError("a fleet has at least one server")
    return ["core", *(f"remote{number}" for number in range(1, servers))]


def check_name(name: str) -> None:
    """Raise `UsageError` for what cannot be a host name, a folder and a control group at once."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name) or name == "host":
        raise UsageError(f"{name!r} cannot be a test server's name", fix="use small letters, digits and hyphens")


def _fleet_id(folder: Path) -> str:
    return f"{folder.name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


@contextmanager
def _locked() -> Iterator[None]:
    with base.file_lock(_LOCK):
        yield
