"""Those of `ez-homelab users` that edit users.yaml: show the change and the plan, ask, write, apply."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from ez_homelab.cli.complete import complete_user
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
from ez_homelab.errors import EXIT_UNREACHABLE
from ez_homelab.gate_admin import GateError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ez_homelab.config.files import Edit
    from ez_homelab.config.people import Person
    from ez_homelab.lab import Homelab
    from ez_homelab.lab.accounts import Way
    from ez_homelab.plan import Plan

    Change = Callable[[Homelab], tuple[Edit, Homelab]]

user_argument = click.argument("user", metavar="NAME", shell_complete=complete_user)
force_option = click.option("--force", is_flag=True, help="Also where no admin could sign in any more.")


@click.command("add")
@click.argument("user", metavar="NAME")
@lab_option
@json_option
@yes_option
@click.option("--name", "shown", help="The person's name. Default: the user name.")
@click.option("--email", default="", help="The person's e-mail address.")
@click.option("--groups", default="", metavar="A,B", help="The groups the person is in, such as admins.")
@wait_option
@told
def add_command(
    user: str,
    lab_folder: Path | None,
    as_json: bool,
    yes: bool,
    shown: str | None,
    email: str,
    groups: str,
    wait: float,
) -> None:
    """Add a person: edit users.yaml (comments stay), show the plan, ask, apply. Prints a one-time link to invite them.

    NAME is what they sign in with.
    """
    from ez_homelab.config.edit_users import with_groups
    from ez_homelab.config.people import Person

    person = with_groups(Person(user if shown is None else shown, email), [groups.replace("+", "")])
    _change(
        lambda lab: lab.users.adding(user, person), _Asked(lab_folder, as_json, yes, wait), invites=user
    )  # fmt: skip


@click.command("disable")
@user_argument
@lab_option
@json_option
@yes_option
@force_option
@wait_option
@told
def disable_command(user: str, lab_folder: Path | None, as_json: bool, yes: bool, force: bool, wait: float) -> None:
    """Let a person sign in no longer; sessions end at once. Password and second factors are kept."""
    _change(
        lambda lab: lab.users.changing(user, lambda person: replace(person, disabled=True), force=force),
        _Asked(lab_folder, as_json, yes, wait),
        takes=f"{user} can no longer sign in, and every session of theirs ends.",
    )


@click.command("enable")
@user_argument
@lab_option
@json_option
@yes_option
@wait_option
@told
def enable_command(user: str, lab_folder: Path | None, as_json: bool, yes: bool, wait: float) -> None:
    """Let a person sign in again."""
    _change(
        lambda lab: lab.users.changing(user, lambda person: replace(person, disabled=False)),
        _Asked(lab_folder, as_json, yes, wait),
    )


@click.command("remove")
@user_argument
@lab_option
@json_option
@yes_option
@force_option
@wait_option
@told
def remove_command(user: str, lab_folder: Path | None, as_json: bool, yes: bool, force: bool, wait: float) -> None:
    """Take a person out of users.yaml; sessions end at once.

    Password and second factors are removed, which `rollback` does not bring back. What they stored in apps stays.
    """
    _change(
        lambda lab: lab.users.removing(user, force=force),
        _Asked(lab_folder, as_json, yes, wait),
        takes=f"{user} can no longer sign in; every session, the password and second factors of theirs go.",
        forgets=user,
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
@lab_option
@json_option
@yes_option
@force_option
@wait_option
@told
def groups_command(
    user: str, groups: tuple[str, ...], lab_folder: Path | None, as_json: bool, yes: bool, force: bool, wait: float
) -> None:
    """Change a person's groups: +A, -B, or all of them as A,B.

    Without any it shows them. A group whose name is one letter is left behind `--`: users groups NAME -- -a
    """
    if not groups:
        _show_groups(open_lab(lab_folder), user, as_json=as_json)
        return
    changes = [word.replace("\0", "-") for word in groups]
    _change(
        lambda lab: lab.users.changing(user, lambda person: _regrouped(person, changes), force=force),
        _Asked(lab_folder, as_json, yes, wait),
    )


def _regrouped(person: Person, changes: list[str]) -> Person:
    from ez_homelab.config.edit_users import with_groups

    return with_groups(person, changes)


def _show_groups(lab: Homelab, user: str, *, as_json: bool) -> None:
    groups = lab.users.person(user).groups
    if as_json:
        print_json({"user": user, "groups": [*groups]})
    else:
        click.echo(", ".join(groups) or f"{user} is in no group.")


class _Asked:
    """What every one of these commands is told."""

    def __init__(self, lab_folder: Path | None, as_json: bool, yes: bool, wait: float) -> None:
        require_yes(yes=yes, as_json=as_json)
        self.lab = open_lab(lab_folder, progress=not as_json, wait=wait)
        self.quiet = as_json
        self.yes = yes


def _change(change: Change, asked: _Asked, *, takes: str = "", invites: str = "", forgets: str = "") -> None:
    """Carry it out; `takes` says what somebody loses by it, `invites` is who gets a link, `forgets` who is gone."""
    document, way = run(_carry_out(change, asked, takes, invites, forgets))
    if document is None:
        click.echo("Nothing was changed.", err=True)
        return
    if invites:
        from ez_homelab.cli.commands.users import INVITED, show_way, way_document

        document |= {"link": way_document(way) if way else None}
        if way and not asked.quiet:
            show_way(way, INVITED)
    if asked.quiet:
        from ez_homelab.cli.commands.users import print_revealed

        print_revealed(document)
    if document["applied"]["unknown"]:
        sys.exit(EXIT_UNREACHABLE)


async def _carry_out(
    change: Change, asked: _Asked, takes: str, invites: str, forgets: str
) -> tuple[dict[str, Any] | None, Way | None]:
    """The document of `--json`, None where the person said no; and the way in for somebody new."""
    from ez_homelab.cli.commands.apply import carry_out, prove

    async with asked.lab.changing(unasked=asked.yes) as held:
        edit, after = change(held)
        plan = await after.plan()
        if not _agreed(edit, plan, takes, asked):
            return None, None
        edit.write()
        if plan:
            plan = await carry_out(after, plan, yes=asked.yes, quiet=asked.quiet)
        way = await _invite(after, invites) if invites and not plan.unknown else None
        if forgets and not plan.unknown:
            await _forget(after, forgets)
    # Who may sign in is no address: there is something to prove only where containers changed by the way.
    touched = any(action.kind == "service" for action in plan.actions)
    proof = await prove(after, plan, quiet=asked.quiet) if touched else None
    told = {"file": str(edit.path), "diff": edit.diff(), "applied": plan.to_dict()}
    return told | {"proof": proof.to_dict() if proof else None}, way


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


def _agreed(edit: Edit, plan: Plan, takes: str, asked: _Asked) -> bool:
    from ez_homelab.cli.terminal import confirm, show_plan

    same = edit.before == edit.after
    if not asked.quiet:
        click.echo(f"{edit.path.name} says so already." if same else edit.diff())
        show_plan(plan)
        if takes and not same:
            click.echo(takes)
    return (same and not plan) or confirm("Do this?", yes=asked.yes)
