"""`ez-homelab trust`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.face import json_option, lab_option, open_lab, print_json, run, told

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.lab import Homelab
    from ez_homelab.tls.trust import TrustChange


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
    changes = run(_trust(lab, quiet=as_json))
    if as_json:
        print_json({"stores": [asdict(change) for change in changes]})


async def _trust(lab: Homelab, *, quiet: bool) -> list[TrustChange]:
    changes = []
    async for change in lab.trust():
        changes.append(change)
        if not quiet:
            # At once: what is done stays done if the next store refuses.
            click.echo(str(change))
    return changes
