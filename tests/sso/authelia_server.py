"""A server on which that Authelia runs in its container: what `docker exec` and `docker logs` would do, done here."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from ez_homelab.hosts import Completed
from ez_homelab.testing.fake_host import FakeHost

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.hosts import Command

PLACES = ("/config/", "/etc/authelia/config/")


def server_of(folder: Path, executable: str) -> FakeHost:
    """The server of the front in that folder; programs in the container are run by this machine."""
    here = folder / "authelia"
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    if not (programs / "authelia").exists():
        (programs / "authelia").symlink_to(executable)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}

    def run(command: Command) -> Completed:
        if command.argv[:2] == ("docker", "logs"):
            lines = (here / "authelia.log").read_text(encoding="utf-8").splitlines()
            stamped = (f"{number:08} {line}" for number, line in enumerate(lines))
            return Completed(command, 0, "\n".join(stamped), "")
        inside = command.argv[command.argv.index("authelia") + 1 :]
        argv = [_here(word, here) for word in inside]
        done = subprocess.run(argv, input=command.stdin, capture_output=True, env=environment, timeout=60)
        return Completed(command, done.returncode, done.stdout.decode(), done.stderr.decode())

    host = FakeHost("core")
    host.answer(lambda command: command.argv[0] == "docker", does=run)
    return host


def _here(word: str, folder: Path) -> str:
    place = next((place for place in PLACES if word.startswith(place)), None)
    return str(folder / word.removeprefix(place)) if place else word
