"""`ez-homelab drift`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.face import json_option, lab_option, open_lab, print_json, require_yes, run, told, yes_option
from ez_homelab.errors import EXIT_CHANGES, EXIT_UNREACHABLE

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.config.files import Edit
    from ez_homelab.lab import Homelab
    from ez_homelab.plan import Choice
    from ez_homelab.plan.drift import Drift

paths_argument = click.argument("paths", nargs=-1, required=True, metavar="PATH...")


@click.group("drift", invoke_without_command=True)
@lab_option
@json_option
@click.option("--diff", is_flag=True, help="Show what was changed in each edited file (never of files with secrets).")
@click.option("--check", is_flag=True, help="Exit with status 3 where there is drift that nobody chose to keep.")
@click.pass_context
@told
def drift_command(ctx: click.Context, lab_folder: Path | None, as_json: bool, diff: bool, check: bool) -> None:
    """What is otherwise on the servers than the lab left it: files edited, containers stopped, images moved, and so on.

    Changes nothing. What an edited file is to become, say with one of the commands below.
    """
    if ctx.invoked_subcommand:
        if as_json or diff or check:
            ctx.fail(
                f"--json, --diff and --check go without a command, or behind it: drift {ctx.invoked_subcommand} ..."
            )
        return
    lab = open_lab(lab_folder)
    rows, diffs = run(_look(lab, diff=diff))
    if as_json:
        print_json({"drift": [row.to_dict() | {"diff": diffs.get((row.server, row.path))} for row in rows]})
    else:
        _show(rows, diffs)
    if any(row.kind == "unknown" for row in rows):
        sys.exit(EXIT_UNREACHABLE)
    if check and not all(row.accepted for row in rows):
        sys.exit(EXIT_CHANGES)


@drift_command.command("keep")
@paths_argument
@lab_option
@json_option
@told
def drift_keep_command(paths: tuple[str, ...], lab_folder: Path | None, as_json: bool) -> None:
    """Leave these edited files as they are, until their text or the lab's changes."""
    _decide("keep", paths, lab_folder)
    _tell("keep", paths, "stays as it is, until its text or the lab's changes", as_json=as_json)


@drift_command.command("overwrite")
@paths_argument
@lab_option
@json_option
@told
def drift_overwrite_command(paths: tuple[str, ...], lab_folder: Path | None, as_json: bool) -> None:
    """Give up these edited files: the next apply writes the lab's text, and keeps theirs aside."""
    _decide("overwrite", paths, lab_folder)
    _tell("overwrite", paths, "is written by the next `ez-homelab apply`; its text is kept aside", as_json=as_json)


@drift_command.command("adopt")
@paths_argument
@lab_option
@json_option
@yes_option
@told
def drift_adopt_command(paths: tuple[str, ...], lab_folder: Path | None, as_json: bool, yes: bool) -> None:
    """Take the text of these edited files into the lab: show the change of the lab's files, ask, write it."""
    from ez_homelab.cli.terminal import confirm
    from ez_homelab.config.files import write_all

    require_yes(yes=yes, as_json=as_json)
    edits = _decide("adopt", paths, lab_folder)
    if as_json:
        write_all(edits)
        print_json({"choice": "adopt", "paths": [*paths], "files": [str(edit.path) for edit in edits]})
        return
    for edit in edits:
        click.echo(f"{edit.path}\n{edit.diff()}\n")
    if not edits:
        click.echo("The lab says this already, in other words: nothing to adopt.")
    elif confirm("Write this?", yes=yes):
        write_all(edits)
        click.echo("The lab has it now. What follows from it: ez-homelab apply")
    else:
        click.echo("Nothing was changed.", err=True)


def _decide(choice: Choice, paths: tuple[str, ...], lab_folder: Path | None) -> tuple[Edit, ...]:
    group = click.get_current_context().parent
    before = group.params.get("lab_folder") if group else None  # `drift --lab DIR keep PATH`
    return run(open_lab(lab_folder or before).decide(choice, paths))


async def _look(lab: Homelab, *, diff: bool) -> tuple[tuple[Drift, ...], dict[tuple[str, str], str]]:
    from ez_homelab.plan.drift import text_diff

    rows = await lab.drift()
    shown = [row for row in rows if row.path] if diff else []
    texts = {(row.server, row.path): await lab.drift_text(row.server, row.path) for row in shown}
    return rows, {(server, path): text_diff(path, *both) for (server, path), both in texts.items()}


def _show(rows: tuple[Drift, ...], diffs: dict[tuple[str, str], str]) -> None:
    from ez_homelab.cli.terminal import show_table

    if not rows:
        click.echo("No drift: everything is as the last apply left it.")
        return
    columns = ("Kind", "Server", "What", "Which differs", "Seen")
    show_table(columns, [(row.kind, row.server, row.name, row.differs, row.evidence) for row in rows])
    for fix in dict.fromkeys(row.fix for row in rows if row.fix):
        click.echo(f"fix: {fix}")
    for text in diffs.values():
        click.echo(f"\n{text}")


def _tell(choice: str, paths: tuple[str, ...], meaning: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"choice": choice, "paths": [*paths]})
        return
    for path in paths:
        click.echo(f"{path} {meaning}.")
