"""The command line: a thin face over `lab/`. Each command is a module of `commands/`, read only when it is called."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run `ez-homelab` with the process's arguments; ends the process with one of the five exit statuses."""
    from ez_homelab.cli.app import cli
    from ez_homelab.redaction import wrap_streams

    # From here on no known secret gets out, whoever prints it.
    wrap_streams()
    # A pipe that is closed early (`| head`) is the reader's right, not an error of ours.
    try:
        cli(prog_name="ez-homelab")
    except BrokenPipeError:
        # What Python still holds it flushes at its end, and would fail at that again with exit status 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stderr.close()
        sys.exit(0)
