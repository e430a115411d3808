"""`ez-homelab init`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.face import json_option, lab_option, print_json, told

if TYPE_CHECKING:
    from ez_homelab.config.model import ImageSource


@click.command("init")
@lab_option
@json_option
@click.option("--domain", default="lab.localhost", show_default=True, help="The lab's domain.")
@click.option(
    "--images", type=click.Choice(["registry", "packages"]), default="registry", show_default=True,
    help="Where images come from: pulled, or built on the server from Debian, PyPI and npm packages.",
)  # fmt: skip
@click.option("--admin", metavar="NAME", help="The user name of the first admin. Default: $SUDO_USER, else admin.")
@told
def init_command(lab_folder: Path | None, as_json: bool, domain: str, images: ImageSource, admin: str | None) -> None:
    """Write a commented starter lab into DIR, else $EZ_LAB, else the current folder."""
    import os

    from ez_homelab.lab import Homelab

    named = os.environ.get("EZ_LAB")
    folder = lab_folder or (Path(named) if named else Path.cwd())
    written = Homelab(folder.absolute()).create(domain, images, admin)
    if as_json:
        print_json({"folder": str(folder.absolute()), "files": [str(path) for path in written]})
        return
    for path in written:
        click.echo(f"wrote {path}")
    click.echo("Next: read homelab.yaml, then `ez-homelab up`.")
