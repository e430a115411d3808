"""`ez-homelab verify`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.face import json_option, lab_option, open_lab, print_json, run, told
from ez_homelab.errors import EXIT_FAILED

if TYPE_CHECKING:
    from pathlib import Path


@click.command("verify")
@lab_option
@click.option(
    "--all", "everything", is_flag=True,
    help="Wake the apps that sleep too, a few at a time, and put them to sleep again.",
)  # fmt: skip
@json_option
@told
def verify_command(lab_folder: Path | None, everything: bool, as_json: bool) -> None:
    """Prove from outside what users rely on: names, certificate, answers, redirects, nothing unexpected.

    Apps that sleep are left asleep, and who may pass to them is proven all the same; --all wakes each of them once.
    """
    from ez_homelab.cli.terminal import show_table
    from ez_homelab.verify import Waking

    proof = run(open_lab(lab_folder).verify(Waking(None if everything else ())))
    if as_json:
        print_json(proof.to_dict())
    else:
        rows = [(check.subject, check.claim, check.state, check.evidence) for check in proof.checks]
        show_table(("Subject", "Claim", "Result", "Evidence"), rows)
    if not proof.holds:
        sys.exit(EXIT_FAILED)
