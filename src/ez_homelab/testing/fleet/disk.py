"""The disk of one server: its folders on the machine, what is on it before the first start, how it goes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError
from ez_homelab.testing.fleet import base, keys
from ez_homelab.testing.fleet.network import DOMAIN

if TYPE_CHECKING:
    from ez_homelab.testing.fleet.state import ServerState

_FOLDERS = ("upper", "work", "root", "plain/docker", "plain/containerd", "plain/archives")
# Debian's /etc/init.d/docker mounts control groups of its own making unless it finds the word cgroup in here.
_FSTAB = "# The root and the control groups are there before this server starts.\nnone /sys/fs/cgroup none noauto 0 0\n"


def create(folder: Path, server: ServerState, *, fleet: Path, router: str) -> None:
    """Lay it out in the server's folder: host key, names, who may come in. `fleet` is the fleet's folder."""
    for part in _FOLDERS:
        (folder / part).mkdir(parents=True)
    base.give_archives(folder / "plain/archives")
    host_key = folder / "host_key"
    keys.pin(fleet, server.name, server.address, keys.make_key(host_key, server.name))
    domain = f"{server.name}.{DOMAIN}"
    names = f"127.0.0.1 localhost\n127.0.1.1 {domain} {server.name}\n::1 localhost ip6-localhost ip6-loopback\n"
    key_only = "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
    client_key = (fleet / f"{keys.CLIENT_KEY}.pub").read_text(encoding="ascii")
    under = Path(server.base)
    for path, content, mode in (
        ("etc/hostname", f"{server.name}\n", 0o644),
        ("etc/hosts", names, 0o644),
        ("etc/resolv.conf", f"search {DOMAIN}\nnameserver {router}\n", 0o644),
        ("etc/fstab", _FSTAB, 0o644),
        ("etc/ssh/ssh_host_ed25519_key", host_key.read_text(encoding="ascii"), 0o600),
        ("etc/ssh/sshd_config.d/fleet.conf", key_only, 0o644),
        ("root/.ssh/authorized_keys", client_key, 0o600),
        ("etc/docker/daemon.json", json.dumps(engine_ranges(server.index), indent=2) + "\n", 0o644),
    ):
        _place(folder / "upper", under, path, content, mode)


def _place(upper: Path, under: Path, path: str, content: str, mode: int) -> None:
    # A folder that is new in the upper layer hides the owner and mode of the same one below, so it takes them over.
    for folder in reversed(Path(path).parents[:-1]):
        made = upper / folder
        if not made.exists():
            made.mkdir(mode=0o700)
            made.chmod((under / folder).stat().st_mode & 0o7777 if (under / folder).exists() else 0o755)
    (upper / path).write_text(content, encoding="utf-8")
    (upper / path).chmod(mode)


def engine_ranges(index: int) -> dict[str, object]:
    """The address ranges of the engine in server `index`: apart from the fleet's own and from its neighbours'."""
    block = 128 + index % 100
    return {
        "bip": f"10.{block}.0.1/24",
        "default-address-pools": [{"base": f"10.{block}.128.0/17", "size": 24}],
    }


def remove(folder: Path) -> None:
    """Remove a server's or a fleet's folder. Raises `CommandError` where something is mounted in it."""
    inside = [
        line.split(" ")[4]
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        if (line.split(" ")[4] + "/").startswith(f"{folder}/")
    ]
    for mount in sorted(inside, reverse=True):
        subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)
    if inside and any(os.path.ismount(mount) for mount in inside):
        raise CommandError(f"{folder} is not removed: something is mounted in it", evidence=", ".join(inside))
    if folder.exists():
        shutil.rmtree(folder)
