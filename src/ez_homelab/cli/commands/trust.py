"""`ez-homelab trust`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.face import json_option, lab_option, open_lab, print_json, run, told

if TYPE_CHECKING:
    from pathlib import Path


@click.command("trust")
@lab_option
@json_option
@click.option("--print", "print_only", is_flag=True, help="Only write the certificate (PEM) to standard output.")
@told
def trust_command(lab_folder: Path | None, as_json: bool, print_only: bool) -> None:
    """Make this machine and Chromium trust the lab's authority, which can sign for the lab's domain only."""
    lab = open_lab(lab_folder)
    if print_only:
        click.echo(run(lab.authority_pem()), nl=False)
        return
    changes = run(lab.trust())
    if as_json:
        print_json({"stores": [asdict(change) for change in changes]})
        return
    for change in changes:
        click.echo(str(change))
