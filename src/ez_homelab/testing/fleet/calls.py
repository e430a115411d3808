"""One call of a program in a server: what it said, or an error with its evidence."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError
from ez_homelab.testing.fleet.programs import SYSTEM_PATH, last_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ENVIRONMENT = {"PATH": SYSTEM_PATH, "HOME": "/root", "USER": "root", "LOGNAME": "root", "LANG": "C.UTF-8"}
"""What a program in a server finds in its environment: a fresh login's, nothing of the caller's."""


@dataclass(frozen=True, slots=True)
class Call:
    """`command` is what the machine runs, `argv` the part of it that `server` runs: messages show only that one."""

    command: Sequence[str]
    argv: Sequence[str]
    server: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def text(self, data: bytes = b"", *, timeout: float, check: bool) -> subprocess.CompletedProcess[str]:
        """Run it and return both streams as text. Raises `CommandError` for a status (with `check`) or the time."""
        ended = self.bytes(data, timeout=timeout)
        out, err = ended.stdout.decode(errors="replace"), ended.stderr.decode(errors="replace")
        if check and ended.returncode != 0:
            raise CommandError(
                f"`{self}` ended with status {ended.returncode} on {self.server}", evidence=last_line(err, out)
            )
        return subprocess.CompletedProcess(ended.args, ended.returncode, out, err)

    def bytes(self, data: bytes = b"", *, timeout: float) -> subprocess.CompletedProcess[bytes]:
        """Run it, whatever its status. Past `timeout` seconds its whole process group is ended: `CommandError`."""
        with subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**ENVIRONMENT, **self.environment},
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(data, timeout)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                raise CommandError(
                    f"`{self}` took longer than {timeout:g} s on {self.server}",
                    evidence=last_line((error.stderr or b"").decode(errors="replace")),
                ) from error
        return subprocess.CompletedProcess(list(self.argv), process.returncode, out, err)

    def __str__(self) -> str:
        return " ".join(self.argv[:2])
