"""`ez-homelab check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ez_homelab.cli.face import json_option, lab_option, open_lab, print_json, told

if TYPE_CHECKING:
    from pathlib import Path


@click.command("check")
@lab_option
@json_option
@told
def check_command(lab_folder: Path | None, as_json: bool) -> None:
    """Check the lab file and everything that follows from it, without looking at any server."""
    lab = open_lab(lab_folder)
    routes = lab.desired.routes
    apps = len(lab.lab.instances)
    if as_json:
        found = {"apps": apps, "routes": [{"name": route.name, "address": route.address} for route in routes]}
        print_json({"valid": True, **found, "warnings": list(lab.desired.warnings)})
        return
    click.echo(f"{lab.folder / 'homelab.yaml'} is fine: {apps} apps, {len(routes)} addresses.")
    for warning in lab.desired.warnings:
        click.echo(f"warning: {warning}")
