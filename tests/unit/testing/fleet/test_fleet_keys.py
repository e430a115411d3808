from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ez_homelab.testing.fleet import keys

if TYPE_CHECKING:
    from pathlib import Path


def test_a_servers_key_is_pinned_once_and_a_newer_one_takes_its_place(tmp_path: Path) -> None:
    keys.pin(tmp_path, "core", "10.111.0.11", "ssh-ed25519 OLD core")
    keys.pin(tmp_path, "core2", "10.111.0.12", "ssh-ed25519 OTHER core2")
    keys.pin(tmp_path, "core", "10.111.0.11", "ssh-ed25519 NEW core")
    assert (tmp_path / keys.KNOWN_HOSTS).read_text(encoding="ascii").splitlines() == [
        "core2,core2.lab.home.arpa,10.111.0.12 ssh-ed25519 OTHER",
        "core,core.lab.home.arpa,10.111.0.11 ssh-ed25519 NEW",
    ]


def test_arguments_are_quoted_for_the_shell_at_the_other_end(tmp_path: Path) -> None:
    argv = ["printf", "%s", "$(reboot); it's"]
    command = keys.ssh_command(tmp_path, "10.111.0.11", argv, known_hosts=None, terminal=False)
    assert shlex.split(command[-1]) == argv
    assert "StrictHostKeyChecking=yes" in command
