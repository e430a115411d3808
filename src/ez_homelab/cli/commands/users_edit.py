"""Those of `ez-homelab users` that edit users.yaml: show the change and the plan, ask, write, apply."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.complete import complete_user
from ez_homelab.cli.editing import edit_lab, editing_options, finish, nothing_more
from ez_homelab.cli.face import open_lab, print_json
from ez_homelab.gate_admin import GateError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ez_homelab.cli.editing import Asked, Change
    from ez_homelab.lab import Homelab
    from ez_homelab.lab.accounts import Way
    from ez_homelab.plan import Plan

    Then = Callable[[Homelab], Awaitable[None]]

user_argument = click.argument("user", metavar="NAME", shell_complete=complete_user)
force_option = click.option("--force", is_flag=True, help="Also where no admin could sign in any more.")


@click.command("add")
@click.argument("user", metavar="NAME")
@editing_options(
    click.option("--name", "shown", help="The person's name. Default: the user name."),
    click.option("--email", default="", help="The person's e-mail address."),
    click.option("--groups", default="", metavar="A,B", help="The groups the person is in, such as admins."),
)
def add_command(asked: Asked, user: str, shown: str | None, email: str, groups: str) -> None:
    """Add a person: edit users.yaml (comments stay), show the plan, ask, apply. Prints a one-time link to invite them.

    NAME is what they sign in with.
    """
    from ez_homelab.cli.commands.users import INVITED, print_revealed, show_way, way_document
    from ez_homelab.config.edit_users import with_groups
    from ez_homelab.config.people import Person

    person = with_groups(Person(user if shown is None else shown, email), [groups.replace("+", "")])
    then = partial(_invite, user=user)
    edited = edit_lab(
        asked,
        lambda lab: lab.users.adding(user, person),
        then,
        show=lambda way: show_way(way, INVITED),
        proves=_touches_services,
    )
    if edited is None:
        return
    way = edited.more
    finish(asked, edited.to_dict() | {"link": way_document(way) if way else None}, print_revealed)


@click.command("disable")
@user_argument
@editing_options(force_option)
def disable_command(asked: Asked, user: str, force: bool) -> None:
    """Let a person sign in no longer; sessions end at once. Password and second factors are kept."""
    _change(
        asked,
        lambda lab: lab.users.changing(user, lambda person: replace(person, disabled=True), force=force),
        takes=f"{user} can no longer sign in, and every session of theirs ends.",
    )


@click.command("enable")
@user_argument
@editing_options()
def enable_command(asked: Asked, user: str) -> None:
    """Let a person sign in again."""
    _change(asked, lambda lab: lab.users.changing(user, lambda person: replace(person, disabled=False)))


@click.command("remove")
@user_argument
@editing_options(force_option)
def remove_command(asked: Asked, user: str, force: bool) -> None:
    """Take a person out of users.yaml; sessions end at once.

    Password and second factors are removed, which `rollback` does not bring back. What they stored in apps stays.
    """
    _change(
        asked,
        lambda lab: lab.users.removing(user, force=force),
        partial(_forget, user=user),
        takes=f"{user} can no longer sign in; every session, the password and second factors of theirs go.",
    )


class _GroupsCommand(click.Command):
    """Takes `-family` for a group to leave, not for options in one word."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with such words told apart first."""
        end = args.index("--") if "--" in args else len(args)
        words = [_LEAVES.sub("\0", word) if _LEAVES.match(word) else word for word in args[:end]]
        return super().parse_args(ctx, words + args[end:])


# A group's name after a single hyphen. One letter alone is an option (`-y`); such a group is left behind `--`.
_LEAVES = re.compile("^-(?=[a-z][a-z0-9-]+$)")


@click.command("groups", cls=_GroupsCommand)
@user_argument
@click.argument("groups", nargs=-1, metavar="[+A | -B | A,B]...")
@editing_options(force_option)
def groups_command(asked: Asked, user: str, groups: tuple[str, ...], force: bool) -> None:
    """Change a person's groups: +A, -B, or all of them as A,B.

    Without any it shows them. A group whose name is one letter is left behind `--`: users groups NAME -- -a
    """
    from ez_homelab.config.edit_users import with_groups

    if not groups:
        _show_groups(open_lab(asked.folder), user, as_json=asked.quiet)
        return
    changes = [word.replace("\0", "-") for word in groups]
    _change(asked, lambda lab: lab.users.changing(user, lambda person: with_groups(person, changes), force=force))


def _show_groups(lab: Homelab, user: str, *, as_json: bool) -> None:
    groups = lab.users.person(user).groups
    if as_json:
        print_json({"user": user, "groups": [*groups]})
    else:
        click.echo(", ".join(groups) or f"{user} is in no group.")


def _change(asked: Asked, change: Change, then: Then = nothing_more, *, takes: str = "") -> None:
    from ez_homelab.cli.commands.users import print_revealed

    edited = edit_lab(asked, change, then, takes=takes, proves=_touches_services)
    if edited:
        finish(asked, edited.to_dict(), print_revealed)


def _touches_services(plan: Plan) -> bool:
    # Who may sign in is no address: there is something to prove only where containers changed by the way.
    return any(action.kind == "service" for action in plan.actions)


async def _invite(lab: Homelab, user: str) -> Way:
    from ez_homelab.authelia_people import AutheliaError

    try:
        return await lab.users.invite_new(user)
    except (GateError, AutheliaError) as error:
        raise type(error)(
            f"{user} is added, and could not be invited: {error.what}",
            evidence=error.evidence,
            cause=error.cause,
            fix=f"ez-homelab users invite {user}",
        ) from error


async def _forget(lab: Homelab, user: str) -> None:
    from ez_homelab.authelia_people import AutheliaError

    try:
        await lab.users.forget(user)
    except (GateError, AutheliaError) as error:
        # Whoever is added under that name later is given a new password first, so nothing is open by it.
        click.echo(f"{user} is removed; password and second factors could not be: {error.what}", err=True)
