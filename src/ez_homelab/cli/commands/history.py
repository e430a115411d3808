"""`ez-homelab history`."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

import click

from ez_homelab.cli.face import json_option, lab_option, open_lab, print_json, run, told

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ez_homelab.generations.document import Recorded
    from ez_homelab.generations.index import Generation
    from ez_homelab.lab import Homelab

SHOWN = 20
"""How many generations are listed unless `--limit` says otherwise."""


@click.command("history")
@click.argument("number", type=int, required=False)
@lab_option
@json_option
@click.option("--limit", type=click.IntRange(min=1), default=SHOWN, show_default=True, help="List at most so many.")
@told
def history_command(number: int | None, lab_folder: Path | None, as_json: bool, limit: int) -> None:
    """Every apply that was carried out, newest first; with NUMBER what that one was made of.

    Contents of files are not shown, because some hold secrets.
    """
    lab = open_lab(lab_folder)
    if number is None:
        _show_all(lab.history(), limit, as_json=as_json)
    else:
        _show_one(lab, number, as_json=as_json)


def _show_all(kept: Sequence[Generation], limit: int, *, as_json: bool) -> None:
    from ez_homelab.cli.terminal import show_table
    from ez_homelab.generations.index import running

    now = {*running(kept).values()}
    shown = list(zip_longest(kept, kept[1:]))[:limit]
    if as_json:
        print_json({"generations": [summary(one, before, runs=one.number in now) for one, before in shown]})
        return
    if not kept:
        click.echo("Nothing was applied yet.")
        return
    rows = [(*_cells(one, runs=one.number in now), changes_text(one, before)) for one, before in shown]
    show_table(("Number", "Made (UTC)", "Who", "Outcome", "Command", "Why", "Changed"), rows)
    click.echo("* runs now")


def _cells(one: Generation, *, runs: bool) -> tuple[str, ...]:
    number = f"{one.number} *" if runs else f"{one.number}"
    return number, one.made[:16].replace("T", " "), one.who, one.outcome, one.command, one.why or "-"


def changes_text(one: Generation, before: Generation | None) -> str:
    """Which stacks are otherwise than in the generation before, and what became of those that are not well."""
    trouble = [f"{stack} {outcome}" for stack, outcome in sorted(one.outcomes.items()) if outcome != "done"]
    changed = " ".join(one.changes_since(before)) or "no stack"
    return f"{changed} ({', '.join(trouble)})" if trouble else changed


def summary(one: Generation, before: Generation | None, *, runs: bool) -> dict[str, object]:
    """A generation as `--json` prints it."""
    names = ("number", "made", "who", "command", "why", "plan", "outcome", "tree")
    changes = list(one.changes_since(before))
    return {name: getattr(one, name) for name in names} | {
        "stacks": dict(one.outcomes), "changed": changes, "running": runs,
    }  # fmt: skip


def _show_one(lab: Homelab, number: int, *, as_json: bool) -> None:
    from ez_homelab.generations.index import running

    # First, because it knows what to say where there is no such generation.
    recorded = run(lab.generation(number))
    kept = lab.history()
    place = next(place for place, one in enumerate(kept) if one.number == number)
    before = kept[place + 1] if place + 1 < len(kept) else None
    runs = number in running(kept).values()
    if as_json:
        print_json({"generation": summary(kept[place], before, runs=runs), **details(recorded)})
        return
    for line in _lines(kept[place], before, recorded):
        click.echo(line)


def details(recorded: Recorded) -> dict[str, object]:
    """What a generation is made of, without any content."""
    return {
        "servers": {
            name: {
                "stacks": {stack.name: {one.name: one.image for one in stack.services} for stack in server.stacks},
                "images": dict(recorded.images.get(name, {})),
                "files": [{"path": one.path, "mode": f"{one.mode:04o}", "sha256": one.sha256} for one in server.files],
            }
            for name, server in recorded.desired.servers.items()
        },
        "lab_files": _hashes(recorded.lab_files),
    }


def _hashes(files: Mapping[str, bytes]) -> list[dict[str, str]]:
    from ez_homelab.generations.document import name_of

    return [{"path": path, "sha256": name_of(content)} for path, content in sorted(files.items())]


def _lines(one: Generation, before: Generation | None, recorded: Recorded) -> Iterator[str]:
    yield f"Generation {one.number}, made {one.made} by {one.who}: {one.outcome}"
    yield f"  command  {one.command}"
    yield f"  why      {one.why or '-'}"
    yield f"  changed  {changes_text(one, before)}"
    for name, server in recorded.desired.servers.items():
        images = recorded.images.get(name, {})
        yield f"\n{name}"
        for stack in server.stacks:
            yield f"  stack {stack.name}: {one.outcomes.get(stack.name, one.outcome)}"
            yield from (f"    {service.name}  {service.image}" for service in stack.services)
        yield "  images"
        yield from (f"    {reference}  {found}" for reference, found in images.items())
        yield "  files"
        yield from (f"    {file.sha256[:12]}  {file.mode:04o}  {file.path}" for file in server.files)
    yield "\nthe lab's own files"
    yield from (f"    {file['sha256'][:12]}  {file['path']}" for file in _hashes(recorded.lab_files))
