"""What is written down about a fleet, so that another process (or the next run, after a crash) can go on from it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ez_homelab.errors import UsageError
from ez_homelab.testing.fleet.processes import ProcessRecord

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "state.json"


@dataclass(slots=True)
class ServerState:
    """One server: what it was made of, and the processes that make it live now."""

    name: str
    index: int
    """Counts from 1 in its fleet; its address, its link's name and its engine's ranges follow from it."""
    address: str
    suite: str
    base: str
    """The folder of the base root under its overlay."""
    online: bool = True
    init: ProcessRecord | None = None
    """Its process 1, by the machine's numbering; None while it is off."""
    ports: dict[int, int] = field(default_factory=dict)
    """Ports of the machine's 127.0.0.1 that lead to ports of the server's 127.0.0.1."""
    forwarders: dict[int, ProcessRecord] = field(default_factory=dict)


@dataclass(slots=True)
class FleetState:
    """One fleet."""

    name: str
    subnet: str
    suite: str
    owner: ProcessRecord | None
    """The process with which the fleet goes; None for one that stays until `down`."""
    helpers: dict[str, ProcessRecord] = field(default_factory=dict)
    servers: dict[str, ServerState] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write it whole into the fleet's folder."""
        write_whole(folder / FILE_NAME, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> FleetState:
        """What the folder says. Raises `UsageError` where there is no fleet in it."""
        try:
            raw = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UsageError(f"there is no test fleet in {folder}", fix="ez-homelab fleet list") from error
        try:
            return cls._from(raw)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{folder / FILE_NAME} was written by another version", evidence=repr(error)) from error

    @classmethod
    def _from(cls, raw: dict[str, Any]) -> FleetState:
        return cls(
            name=raw["name"],
            subnet=raw["subnet"],
            suite=raw["suite"],
            owner=_process(raw["owner"]),
            helpers={role: ProcessRecord(**process) for role, process in raw["helpers"].items()},
            servers={name: _server(server) for name, server in raw["servers"].items()},
        )


def write_whole(path: Path, text: str, mode: int = 0o600) -> None:
    """Write the file beside and rename it into place."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.chmod(mode)
    beside.rename(path)


def _process(raw: dict[str, int] | None) -> ProcessRecord | None:
    return None if raw is None else ProcessRecord(**raw)


def _server(raw: dict[str, Any]) -> ServerState:
    forwarders = {int(port): ProcessRecord(**process) for port, process in raw["forwarders"].items()}
    ports = {int(port): inside for port, inside in raw["ports"].items()}
    return ServerState(**(raw | {"init": _process(raw["init"]), "ports": ports, "forwarders": forwarders}))
