"""What a shell may complete after a command: apps of the catalog, apps and people of the lab. Never an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.errors import EzError

if TYPE_CHECKING:
    import click

    from ez_homelab.lab import Homelab


def complete_catalog(ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """The ids of apps that can be added."""
    from ez_homelab.config.rules import OWN_STACKS

    return [name for name in _lab(ctx).catalog.ids() if name.startswith(typed) and name not in OWN_STACKS]


def complete_lab(ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """The names of the lab's apps; none where the lab file has mistakes."""
    try:
        return [app.name for app in _lab(ctx).lab.instances if app.name.startswith(typed)]
    except EzError:
        return []


def complete_sleeping(ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """The names of the lab's apps that may sleep and are not named yet; none where the lab cannot be rendered."""
    named = ctx.params.get("apps") or ()
    try:
        groups = [group for server in _lab(ctx).desired.servers.values() for group in server.wake_groups]
    except EzError:
        return []
    return [name for group in groups for name in group.apps if name.startswith(typed) and name not in named]


def complete_user(ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """The user names of the lab's people; none where users.yaml has mistakes."""
    try:
        return [user for user in _lab(ctx).people if user.startswith(typed)]
    except EzError:
        return []


def _lab(ctx: click.Context) -> Homelab:
    from ez_homelab.cli.face import open_lab

    return open_lab(ctx.params.get("lab_folder"))
