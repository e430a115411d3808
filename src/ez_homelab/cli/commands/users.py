"""`ez-homelab users`: who may sign in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.commands import users_edit
from ez_homelab.cli.commands.users_edit import user_argument
from ez_homelab.cli.complete import complete_user
from ez_homelab.cli.face import json_option, lab_option, open_lab, print_json, require_yes, run, told, yes_option
from ez_homelab.gate_admin import INVITE_HOURS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ez_homelab.lab.accounts import Link, UserRow, Way
    from ez_homelab.lab.users import LabUsers


@click.group("users")
def users_command() -> None:
    """Who may sign in: list, add, invite, password, groups, second factor, sessions.

    \b
    ez-homelab users add anna --name "Anna Smith" --groups admins
    ez-homelab users groups anna +family
    ez-homelab users list
    """


users_command.add_command(users_edit.add_command)
users_command.add_command(users_edit.disable_command)
users_command.add_command(users_edit.enable_command)
users_command.add_command(users_edit.groups_command)
users_command.add_command(users_edit.remove_command)


@users_command.command("list")
@lab_option
@json_option
@told
def users_list_command(lab_folder: Path | None, as_json: bool) -> None:
    """Everybody: name, groups, whether they can sign in and how, sessions."""
    from ez_homelab.cli.terminal import show_table

    found = run(open_lab(lab_folder).users.look())
    if as_json:
        print_json({"users": [row.to_dict() for row in found.rows], "unknown": found.unknown})
        return
    if not found.rows:
        click.echo("Nobody may sign in yet: ez-homelab users add NAME --groups admins")
        return
    columns = ("User", "Name", "State", "Password", "Second factor", "Sessions", "Last seen (UTC)", "Groups")
    show_table(columns, [_cells(row) for row in found.rows])
    if found.unknown:
        click.echo(f"Not known is what sign-on knows: {found.unknown}.")


def _cells(row: UserRow) -> tuple[str, ...]:
    account, groups = row.account, ", ".join(row.person.groups) or "-"
    if account is None:
        return (row.user, row.person.name, row.state, "?", "?", "?", "?", groups)
    passkeys = f"{account.passkeys} passkey{'s' if account.passkeys > 1 else ''}" if account.passkeys else ""
    factors = " and ".join(filter(None, ("codes" if account.totp else "", passkeys)))
    sessions = "?" if account.sessions is None else f"{account.sessions}"
    seen = account.last_seen[:16].replace("T", " ") if account.last_seen else "never"
    seen = "?" if account.sessions is None else seen
    password = "yes" if account.password else "no"
    return (row.user, row.person.name, row.state, password, factors or "none", sessions, seen, groups)


@users_command.command("invite")
@user_argument
@lab_option
@json_option
@click.option(
    "--hours", type=click.IntRange(1, 24 * 30), help=f"How long a link of the gate is valid. Default: {INVITE_HOURS}."
)
@told
def users_invite_command(user: str, lab_folder: Path | None, as_json: bool, hours: int | None) -> None:
    """Print a new one-time link by which a person chooses a password. Earlier ones no longer work.

    With Authelia the link is valid for five minutes, or goes by mail; a person without an e-mail address is given a
    password.
    """
    way = run(open_lab(lab_folder).users.invite(user, hours=hours))
    if as_json:
        print_revealed(way_document(way))
    else:
        show_way(way, INVITED)


@users_command.command("login-link")
@click.argument("user", metavar="ADMIN", shell_complete=complete_user)
@lab_option
@json_option
@told
def users_login_link_command(user: str, lab_folder: Path | None, as_json: bool) -> None:
    """Print a link that signs an admin in: once, within 10 minutes.

    It asks for no password and no second factor: the way in when sign-on itself is in the way. For root on the core
    server; who asked is written down.
    """
    link = run(open_lab(lab_folder).users.login_link(user))
    if as_json:
        print_revealed(link_document(link))
    else:
        show_link(link, "Whoever opens this link first is signed in:")


@users_command.command("passwd")
@user_argument
@lab_option
@json_option
@click.option("--stdin", "from_stdin", is_flag=True, help="Read it from standard input: one line.")
@told
def users_passwd_command(user: str, lab_folder: Path | None, as_json: bool, from_stdin: bool) -> None:
    """Give a person a new password: asked for twice, or read from standard input.

    The gate ends every session of theirs, Authelia none.
    """
    from ez_homelab.cli.asked import ask_secret

    lab = open_lab(lab_folder)
    lab.users.person(user)
    run(lab.users.set_password(user, ask_secret("New password", from_stdin=from_stdin)))
    stay = "" if lab.lab.sign_on.engine == "builtin" else " Authelia leaves sessions of theirs open."
    _tell(user, f"{user} has a new password.{stay}", as_json=as_json)


@users_command.command("reset-second-factor")
@user_argument
@lab_option
@json_option
@yes_option
@told
def users_reset_second_factor_command(user: str, lab_folder: Path | None, as_json: bool, yes: bool) -> None:
    """Take a person's second factors away: one-time codes, passkeys, recovery codes. They set up new ones."""
    users = _agreed(lab_folder, user, f"Take every second factor of {user} away?", as_json=as_json, yes=yes)
    if users:
        run(users.reset_second_factor(user))
        _tell(user, f"{user} has no second factor any more.", as_json=as_json)


@users_command.command("sign-out")
@user_argument
@lab_option
@json_option
@yes_option
@told
def users_sign_out_command(user: str, lab_folder: Path | None, as_json: bool, yes: bool) -> None:
    """End every session of a person. Authelia cannot."""
    users = _agreed(lab_folder, user, f"End every session of {user}?", as_json=as_json, yes=yes)
    if users:
        run(users.sign_out(user))
        _tell(user, f"{user} is signed out everywhere.", as_json=as_json)


@users_command.command("code")
@user_argument
@lab_option
@json_option
@told
def users_code_command(user: str, lab_folder: Path | None, as_json: bool) -> None:
    """Show the last code or link that Authelia wrote for a person, without mail."""
    message = run(open_lab(lab_folder).users.message(user))
    if as_json:
        names = ("user", "date", "subject", "code", "link")
        print_revealed({name: getattr(message, name) for name in names})
        return
    click.echo(f"{message.subject} ({message.date}):", err=True)
    _reveal(message.code or message.link)


INVITED = "Hand this link on; whoever opens it first chooses the password:"


def way_document(way: Way) -> dict[str, object]:
    """How somebody comes to a password as `--json` prints it, in plain text: a link, a password or neither."""
    from ez_homelab.lab.accounts import FirstPassword, Link

    nothing: dict[str, object] = {"user": way.user, "url": None, "expires": None, "password": None, "mailed_to": None}
    if isinstance(way, Link):
        return nothing | link_document(way)
    if isinstance(way, FirstPassword):
        return nothing | {"password": way.password.reveal()}
    return nothing | {"mailed_to": way.email}


def show_way(way: Way, about_link: str) -> None:
    """Say how somebody comes to a password; what is secret of it goes to standard output, past the redaction."""
    from ez_homelab.lab.accounts import FirstPassword, Link

    if isinstance(way, Link):
        show_link(way, about_link)
    elif isinstance(way, FirstPassword):
        click.echo(
            f"The password of {way.user} (Authelia sends a link only where users.yaml has an e-mail address, and lets "
            "nobody without one set up a second factor):",
            err=True,
        )
        _reveal(way.password.reveal())
    else:
        click.echo(f"Authelia has sent {way.email} a link. It is valid for five minutes.", err=True)


def link_document(link: Link) -> dict[str, object]:
    """The link as `--json` prints it, in plain text."""
    return {"user": link.user, "url": link.url.reveal(), "expires": link.expires}


def show_link(link: Link, about: str) -> None:
    """Say what the link is for and until when; the link alone goes to standard output, past the redaction."""
    click.echo(f"{about} (valid once, until {link.expires[:16].replace('T', ' ')} UTC)", err=True)
    _reveal(link.url.reveal())


def print_revealed(document: Mapping[str, object]) -> None:
    """The JSON document with what it is there to show, past the redaction."""
    _reveal(json.dumps(document, indent=2, ensure_ascii=False))


def _reveal(text: str) -> None:
    from ez_homelab.redaction import original_stdout

    click.echo(text, file=original_stdout())


def _agreed(lab_folder: Path | None, user: str, question: str, *, as_json: bool, yes: bool) -> LabUsers | None:
    """The people of the lab, the user among them; None where something of theirs is not to be taken away after all."""
    from ez_homelab.cli.terminal import confirm

    require_yes(yes=yes, as_json=as_json)
    users = open_lab(lab_folder).users
    users.person(user)
    if confirm(question, yes=yes):
        return users
    click.echo("Nothing was changed.", err=True)
    return None


def _tell(user: str, sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"user": user, "done": sentence})
    else:
        click.echo(sentence)
