"""The course of every command that edits a file of the lab: show the change and the plan, ask, write, apply, prove."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

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
from ez_homelab.errors import EXIT_UNREACHABLE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from ez_homelab.config.files import Edit
    from ez_homelab.lab import Homelab
    from ez_homelab.plan import Plan
    from ez_homelab.verify import Proof

    Change = Callable[[Homelab], tuple[Edit, Homelab]]

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """What every one of these commands is told: `quiet` with --json, `yes` where nobody is asked, `wait` in seconds."""

    folder: Path | None
    quiet: bool
    yes: bool
    wait: float


@dataclass(frozen=True)
class Edited(Generic[T]):
    """What was written, applied and proven; `more` is what was done besides, None where a server was out of reach."""

    edit: Edit
    plan: Plan
    more: T | None
    proof: Proof | None

    def to_dict(self) -> dict[str, Any]:
        """The document of `--json`."""
        written = {"file": str(self.edit.path), "diff": self.edit.diff(), "applied": self.plan.to_dict()}
        return written | {"proof": self.proof.to_dict() if self.proof else None}


def editing_options(*own: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options of such a command, with its own among them; those of all reach it as one `asked`."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @told
        @functools.wraps(function)
        def command(*, lab_folder: Path | None, as_json: bool, yes: bool, wait: float, **others: Any) -> None:
            function(asked=Asked(lab_folder, as_json, yes, wait), **others)

        decorated: Callable[..., None] = command
        for option in reversed((lab_option, json_option, yes_option, *own, wait_option)):
            decorated = option(decorated)
        return decorated

    return decorate


async def nothing_more(_after: Homelab) -> None:
    """What is done besides by a command that edits and applies, and does no more."""


def nothing_to_show(_more: object) -> None:
    """What is shown of what was done besides, where that is nothing."""


def edit_lab(
    asked: Asked,
    change: Change,
    then: Callable[[Homelab], Awaitable[T]],
    *,
    show: Callable[[T], None] = nothing_to_show,
    takes: str = "",
    proves: Callable[[Plan], bool] = bool,
) -> Edited[T] | None:
    """What came of it, None where the person said no.

    `then` is done after the apply and under the same lock, unless a server was out of reach; what it returns is shown
    at once by `show`, because the proof that follows may fail. `takes` says what somebody loses by the change; `proves`
    says of a plan that was applied whether there is something to prove.
    """
    require_yes(yes=asked.yes, as_json=asked.quiet)
    lab = open_lab(asked.folder, progress=not asked.quiet, wait=asked.wait)

    async def then_show(after: Homelab) -> T:
        more = await then(after)
        if not asked.quiet:
            show(more)
        return more

    edited = run(_edit_lab(lab, asked, change, then_show, takes, proves))
    if edited is None:
        click.echo("Nothing was changed.", err=True)
    return edited


def finish(asked: Asked, document: dict[str, Any], show: Callable[[dict[str, Any]], None] = print_json) -> None:
    """Show the document with `--json`; end with the status that says so where a server was out of reach."""
    if asked.quiet:
        show(document)
    if document["applied"]["unknown"]:
        sys.exit(EXIT_UNREACHABLE)


async def _edit_lab(
    lab: Homelab,
    asked: Asked,
    change: Change,
    then: Callable[[Homelab], Awaitable[T]],
    takes: str,
    proves: Callable[[Plan], bool],
) -> Edited[T] | None:
    from ez_homelab.cli.commands.apply import carry_out, prove

    async with lab.changing(unasked=asked.yes) as held:
        edit, after = change(held)
        plan = await after.plan()
        if not _agreed(asked, edit, plan, takes):
            return None
        edit.write()
        if plan:
            plan = await carry_out(after, plan, yes=asked.yes, quiet=asked.quiet)
        more = None if plan.unknown else await then(after)
    return Edited(edit, plan, more, await prove(after, plan, quiet=asked.quiet) if proves(plan) else None)


def _agreed(asked: Asked, edit: Edit, plan: Plan, takes: str) -> bool:
    from ez_homelab.cli.terminal import confirm, show_plan

    same = edit.before == edit.after
    if not asked.quiet:
        click.echo(f"{edit.path.name} says so already." if same else edit.diff())
        show_plan(plan)
        if takes and not same:
            click.echo(takes)
    return (same and not plan) or confirm("Do this?", yes=asked.yes)
