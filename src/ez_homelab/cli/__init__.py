"""The command line: a thin face over `lab.py`. Each command is a module of `commands/`, read only when it is called."""

from __future__ import annotations

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
        sys.stderr.close()
        sys.exit(0)
