"""`ez-homelab down`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ez_homelab.cli.face import (
    json_option,
    lab_option,
    open_lab,
    print_json,
    require_yes,
    run,
    told,
    wait_option,
    yes_option,
)

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.lab import Homelab


@click.command("down")
@lab_option
@json_option
@yes_option
@click.option("--purge", is_flag=True, help="Also remove all data, networks, files and built images. Lists them, asks.")
@wait_option
@told
def down_command(lab_folder: Path | None, as_json: bool, yes: bool, purge: bool, wait: float) -> None:
    """Stop every app. Data stays: `ez-homelab up` or `apply` brings everything back."""
    lab = open_lab(lab_folder, progress=not as_json, wait=wait)
    if purge:
        require_yes(yes=yes, as_json=as_json)
        _purge(lab, as_json=as_json, yes=yes)
        return
    stacks = run(lab.down())
    if as_json:
        print_json({"down": list(stacks)})
    else:
        click.echo(f"Down: {', '.join(stacks)}. Data stays." if stacks else "Nothing was up.")


def _purge(lab: Homelab, *, as_json: bool, yes: bool) -> None:
    from ez_homelab.cli.terminal import confirm_word

    lines = run(lab.purgeable())
    if not lines:
        _tell_purged(lines, as_json=as_json)
        return
    if not as_json:
        click.echo("This goes, and cannot be brought back:")
        for line in lines:
            click.echo(f"  ! {line}")
    if not confirm_word("Type the lab's domain to remove it all", lab.lab.domain, yes=yes):
        click.echo("Nothing was changed.", err=True)
        return
    _tell_purged(run(lab.purge()), as_json=as_json)


def _tell_purged(lines: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        print_json({"purged": list(lines)})
    else:
        click.echo(f"Removed {len(lines)} things. The lab folder itself stays." if lines else "Nothing was there.")
