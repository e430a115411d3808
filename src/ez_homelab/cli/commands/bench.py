"""`ez-homelab bench`."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.face import json_option, lab_option, told

if TYPE_CHECKING:
    from pathlib import Path


@click.command("bench")
@lab_option
@json_option
@told
def bench_command(lab_folder: Path | None, as_json: bool) -> None:
    """Measure the budgets and print them; with --lab DIR also on a lab that is up on this machine."""
    from ez_homelab.testing.checks import CHECKOUT, require_checkout

    require_checkout()
    options = [*(["--json"] if as_json else []), *(["--lab", str(lab_folder)] if lab_folder else [])]
    sys.exit(subprocess.run([sys.executable, str(CHECKOUT / "bench" / "bench.py"), *options], check=False).returncode)
