"""Keys of a fleet for real SSH: one pair to come in with, one host key per server, pinned before its first start."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ez_homelab.testing.fleet.network import DOMAIN
from ez_homelab.testing.fleet.processes import check_call
from ez_homelab.testing.fleet.state import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CLIENT_KEY = "id_ed25519"
KNOWN_HOSTS = "known_hosts"


def make_key(path: Path, comment: str) -> str:
    """Make an Ed25519 key pair (`path` and `path`.pub) and return the public half as one line."""
    check_call(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)],
        what="a key for the fleet could not be made",
    )
    return path.with_name(path.name + ".pub").read_text(encoding="ascii").strip()


def pin(folder: Path, name: str, address: str, public_key: str) -> None:
    """Write the server's host key into the fleet's known_hosts, in place of an older one of that name."""
    file = folder / KNOWN_HOSTS
    lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
    others = [line for line in lines if not line.startswith(f"{name},")]
    kind, key = public_key.split()[:2]
    write_whole(file, "\n".join([*others, f"{name},{name}.{DOMAIN},{address} {kind} {key}"]) + "\n")


def ssh_command(
    folder: Path, address: str, argv: Sequence[str], *, known_hosts: Path | None, terminal: bool
) -> list[str]:
    """The ssh call for a program on a server: only the fleet's key, only the pinned host key, no configuration."""
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": "10",
        "GlobalKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
        "LogLevel": "ERROR",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(known_hosts or folder / KNOWN_HOSTS),
    }
    settings = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    # ssh hands the server's shell one line of text whatever it is given, so the arguments are quoted for that shell.
    remote = ["--", shlex.join(argv)] if argv else []
    interactive = ["-t"] if terminal else []
    return [
        "ssh",
        "-F",
        "/dev/null",
        "-i",
        str(folder / CLIENT_KEY),
        *settings,
        *interactive,
        f"root@{address}",
        *remote,
    ]
