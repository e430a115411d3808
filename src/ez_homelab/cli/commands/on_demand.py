"""`ez-homelab wake` and `ez-homelab sleep`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ez_homelab.cli.complete import complete_sleeping
from ez_homelab.cli.face import json_option, lab_option, open_lab, print_json, run, told

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable
    from pathlib import Path

    from ez_homelab.lab import Homelab
    from ez_homelab.lab.on_demand import Moved

apps_argument = click.argument("apps", nargs=-1, required=True, metavar="APP...", shell_complete=complete_sleeping)


@click.command("wake")
@apps_argument
@lab_option
@json_option
@told
def wake_command(apps: tuple[str, ...], lab_folder: Path | None, as_json: bool) -> None:
    """Wake apps that sleep, and wait until they answer.

    What an app sleeps with wakes too; its `lazy.group` does as a name.
    """
    lab = open_lab(lab_folder, progress=not as_json)
    _show(lab, lab.wake(apps), as_json=as_json)


@click.command("sleep")
@apps_argument
@lab_option
@json_option
@told
def sleep_command(apps: tuple[str, ...], lab_folder: Path | None, as_json: bool) -> None:
    """Put apps to sleep now. One that somebody uses stays awake, and so does one in the hours that are set for it.

    What an app sleeps with falls asleep too; its `lazy.group` does as a name.
    """
    lab = open_lab(lab_folder, progress=not as_json)
    _show(lab, lab.sleep(apps), as_json=as_json)


def _show(lab: Homelab, moving: Coroutine[Any, Any, tuple[Moved, ...]], *, as_json: bool) -> None:
    from ez_homelab.lab.on_demand import OnDemandError

    try:
        moved = run(moving)
    except OnDemandError as error:
        if not as_json:
            _show_moved(lab, error.done)
        raise
    if as_json:
        print_json({"apps": [asdict(one) for one in moved]})
    else:
        _show_moved(lab, moved)


def _show_moved(lab: Homelab, moved: Iterable[Moved]) -> None:
    addresses = {route.name: f": {route.address}" for route in lab.desired.routes}
    for one in moved:
        click.echo(f"{one.app} is {one.state}{addresses.get(one.app, '') if one.state == 'awake' else ''}")
