"""`ez-homelab catalog`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ez_homelab.cli.face import json_option, lab_option, open_lab, print_json, told

if TYPE_CHECKING:
    from pathlib import Path


@click.command("catalog")
@lab_option
@json_option
@told
def catalog_command(lab_folder: Path | None, as_json: bool) -> None:
    """The apps that can be added: the shipped ones and those in the lab's own `catalog/`."""
    from ez_homelab.cli.terminal import show_table
    from ez_homelab.config.rules import CORE_APPS

    catalog = open_lab(lab_folder).catalog
    manifests = [catalog.app(app_id).manifest for app_id in catalog.ids() if app_id not in CORE_APPS]
    if as_json:
        rows = [{"id": app.id, "name": app.name, "tagline": app.tagline, "category": app.category,
                 "version": app.version, "package_edition": app.edition is not None} for app in manifests]  # fmt: skip
        print_json({"apps": rows})
        return
    show_table(
        ("App", "Category", "Version", "From packages", "What it is"),
        [(app.id, app.category, app.version, "yes" if app.edition else "no", app.tagline) for app in manifests],
    )
