"""cli.md, from the tree of commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ez_homelab.cli.app import ENTRIES, SECTIONS, cli
from ez_homelab.reference.tables import cell, table

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXIT_STATUSES = """\
| Exit status | Meaning |
| --- | --- |
| 0 | done, and nothing is wrong |
| 1 | something failed, or was found to be wrong |
| 2 | the lab file or the call is wrong; nothing was changed |
| 3 | `plan --check` found something to do |
| 4 | a server could not be looked at |
| 130 | interrupted with Ctrl-C |"""


def command_tree() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that call it, groups before what is in them."""
    for name in ENTRIES:
        command = cli.get_command(click.Context(cli), name)
        if command is not None:
            yield from _with_children((name,), command)


def _with_children(words: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _with_children((*words, name), child)


def options_of(command: click.Command) -> Iterator[click.Option]:
    """Its options, in the order of its help."""
    yield from (parameter for parameter in command.params if isinstance(parameter, click.Option))


def cli_page() -> str:
    """Every command with its arguments, options and defaults."""
    found = list(command_tree())
    lines = ["# Commands", "", "From a checkout, write `./ez-homelab.sh` for `ez-homelab`.", "", _EXIT_STATUSES]
    for title, entries in SECTIONS.items():
        lines += ["", f"## {title}"]
        for words, command in found:
            if words[0] in entries:
                lines += ["", *_section(words, command)]
    return "\n".join(lines) + "\n"


def _section(words: tuple[str, ...], command: click.Command) -> Iterator[str]:
    name = " ".join(words)
    yield f"### `ez-homelab {name}`"
    yield ""
    yield _about(command)
    yield ""
    yield f"    {_usage(name, command)}"
    rows = [_row(option) for option in options_of(command)]
    if rows:
        yield ""
        yield from table(("Option", "Meaning", "Default"), rows)


def _about(command: click.Command) -> str:
    """The help's first paragraph as one line."""
    return " ".join((command.help or "").split("\b")[0].split())


def _usage(name: str, command: click.Command) -> str:
    if isinstance(command, click.Group):
        return f"ez-homelab {name} {'[COMMAND]' if command.invoke_without_command else 'COMMAND'}"
    arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    shown = [argument.make_metavar(click.Context(command)) for argument in arguments]
    return " ".join(["ez-homelab", name, *shown, *(["[OPTIONS]"] if any(options_of(command)) else [])])


def _row(option: click.Option) -> tuple[str, str, str]:
    context = click.Context(click.Command("any"))
    names = ", ".join(f"`{name}`" for name in option.opts)
    value = "" if option.is_flag else f" `{cell(option.make_metavar(context))}`"
    default = option.to_info_dict()["default"]
    shown = "" if option.is_flag or not isinstance(default, str | int) else f"`{default}`"
    return names + value, cell(option.help or ""), shown
