"""`ez-homelab add` and `ez-homelab remove`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ez_homelab.cli.complete import complete_catalog, complete_lab
from ez_homelab.cli.editing import edit_lab, editing_options, finish, nothing_more

if TYPE_CHECKING:
    from ez_homelab.cli.editing import Asked, Change


@click.command("add")
@click.argument("app", shell_complete=complete_catalog)
@editing_options(
    click.option("--stack", help="The stack it joins; made if missing. Default: named after the app's category."),
    click.option("--name", help="Its name in the lab, for a second copy of an app. Default: the app's own."),
)
def add_command(asked: Asked, app: str, stack: str | None, name: str | None) -> None:
    """Add an app to the lab: edit homelab.yaml (comments stay), show the plan, ask, apply."""
    _change(asked, lambda held: held.adding(app, stack=stack, name=name))


@click.command("remove")
@click.argument("name", shell_complete=complete_lab)
@editing_options()
def remove_command(asked: Asked, name: str) -> None:
    """Take an app out of the lab: edit homelab.yaml, show the plan, ask, apply. Its data stays on the server."""
    _change(asked, lambda held: held.removing(name))


def _change(asked: Asked, change: Change) -> None:
    edited = edit_lab(asked, change, nothing_more)
    if edited:
        finish(asked, edited.to_dict())
