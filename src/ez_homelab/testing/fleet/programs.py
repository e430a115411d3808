"""What the machine must have before it can carry a fleet, and how to get what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError, PrerequisiteError

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = {
    "debootstrap": "debootstrap",
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "iptables": "iptables",
    "mount": "mount",
    "nsenter": "util-linux",
    "setsid": "util-linux",
    "slirp4netns": "slirp4netns",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "tar": "tar",
    "tc": "iproute2",
    "unshare": "util-linux",
}
"""Each program the fleet runs on the machine itself, and the Debian or Ubuntu package that brings it."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing_packages() -> tuple[str, ...]:
    """The packages to install before a fleet can start, sorted; empty where all is there."""
    return tuple(sorted({package for program, package in PROGRAMS.items() if not _found(program)}))


def why_no_fleet() -> str | None:
    """Why this machine (or this user) cannot carry a fleet at all, or None where it can, packages aside."""
    if sys.platform != "linux":
        return "the test fleet needs Linux: its servers are made of Linux namespaces"
    if os.geteuid() != 0:
        return "the test fleet needs root: it makes namespaces, mounts and network links"
    return None


def check_prerequisites() -> None:
    """Raise `PrerequisiteError`, with the one thing to do, where a fleet cannot start here."""
    reason = why_no_fleet()
    if reason:
        raise PrerequisiteError(reason, fix="run it as root (sudo) on a Linux machine or in a virtual one")
    missing = missing_packages()
    if missing:
        raise PrerequisiteError(
            f"the test fleet needs {len(missing)} packages that are not installed",
            evidence=", ".join(program for program in PROGRAMS if not _found(program)),
            fix="apt-get install " + " ".join(missing),
        )


def install_prerequisites(say: Callable[[str], None] | None = None) -> tuple[str, ...]:
    """Install the missing packages with apt-get; returns them. Raises `PrerequisiteError` or `CommandError`."""
    missing = missing_packages()
    reason = why_no_fleet()
    if reason or not missing:
        check_prerequisites()
        return ()
    if not _found("apt-get"):
        check_prerequisites()
    if say:
        say("installing " + " ".join(missing))
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": SYSTEM_PATH}
    install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    for argv in (["apt-get", "update"], install):
        ended = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            raise CommandError(
                f"`{' '.join(argv[:2])}` ended with status {ended.returncode}",
                evidence=last_line(ended.stderr, ended.stdout),
                fix="run it by hand to see more: " + " ".join(argv),
            )
    return missing


def last_line(*streams: str) -> str:
    """The last line said in the first of the streams that says anything: the evidence of an error."""
    for stream in streams:
        lines = [line.strip() for line in stream.splitlines() if line.strip()]
        if lines:
            return lines[-1]
    return "no output"


def _found(program: str) -> bool:
    return shutil.which(program, path=SYSTEM_PATH) is not None
