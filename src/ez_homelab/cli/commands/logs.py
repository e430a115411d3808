"""`ez-homelab logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ez_homelab.cli.complete import complete_lab
from ez_homelab.cli.face import json_option, lab_option, open_lab, print_json, run, told

if TYPE_CHECKING:
    from pathlib import Path


@click.command("logs")
@click.argument("app", shell_complete=complete_lab)
@lab_option
@json_option
@click.option("--tail", default=100, show_default=True, type=click.IntRange(0, 100_000), help="How many last lines.")
@click.option("--follow", "-f", is_flag=True, help="Go on with the coming lines; Ctrl-C ends it.")
@told
def logs_command(app: str, lab_folder: Path | None, as_json: bool, tail: int, follow: bool) -> None:
    """An app's log, as its containers wrote it."""
    lines: list[str] = []
    say = lines.append if as_json else click.echo
    try:
        run(open_lab(lab_folder).logs(app, say, tail=tail, follow=follow and not as_json))
    except KeyboardInterrupt:
        return
    if as_json:
        print_json({"app": app, "lines": lines})
