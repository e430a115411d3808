"""What every command shares: its options, the lab it works on, the one place where errors become exit statuses."""

from __future__ import annotations

import asyncio
import functools
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ez_homelab.errors import EzError, FaultyFileError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from ez_homelab.lab import Homelab

F = TypeVar("F", bound="Callable[..., Any]")
T = TypeVar("T")

PATIENCE = 600.0
"""Seconds for which another run's end is waited for, unless `--wait` says otherwise."""

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 + SIGINT, as every shell expects."""

lab_option = click.option(
    "--lab", "lab_folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="The lab's folder. Default: $EZ_LAB, else the nearest above with a homelab.yaml, else /opt/homelab.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
wait_option = click.option(
    "--wait", type=click.FloatRange(min=0), default=PATIENCE, show_default=True, metavar="SECONDS",
    help="How long to wait for another run to end.",
)  # fmt: skip
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


def told(function: F) -> F:
    """Make a command's expected errors into a message (or a JSON document) and an exit status."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        as_json = bool(kwargs.get("as_json"))
        try:
            return function(*args, **kwargs)
        except EzError as error:
            show_error(error, as_json=as_json)
            sys.exit(error.exit_status)
        except (KeyboardInterrupt, asyncio.CancelledError, click.Abort):
            click.echo("\nInterrupted. What was begun can be finished with: ez-homelab apply", err=True)
            sys.exit(INTERRUPTED)

    return wrapper  # type: ignore[return-value]


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result. An error out of several tasks at once is told as the first of them."""
    try:
        return asyncio.run(coroutine)
    except ExceptionGroup as group:
        expected, other = group.split(EzError)
        if expected is None or other is not None:
            raise
        raise next(_leaves(expected)) from None


def _leaves(group: Any) -> Any:
    for error in group.exceptions:
        yield from _leaves(error) if isinstance(error, ExceptionGroup) else (error,)


def open_lab(folder: Path | None, *, progress: bool = False, wait: float = PATIENCE) -> Homelab:
    """The lab that a command works on."""
    from ez_homelab.lab import Homelab, find_lab_folder
    from ez_homelab.progress import Silent

    if progress:
        from ez_homelab.cli.terminal import Steps

        return Homelab(find_lab_folder(folder), progress=Steps(), command=_command_line(), patience=wait)
    return Homelab(find_lab_folder(folder), progress=Silent(), command=_command_line(), patience=wait)


def require_yes(*, yes: bool, as_json: bool) -> None:
    """Raises `UsageError` where a command that changes things can ask nobody, because it prints one JSON document."""
    if as_json and not yes:
        raise UsageError(
            "with --json nobody is asked, so what is to be changed has to be approved beforehand",
            fix="look at `ez-homelab plan`, then add --yes",
        )


def print_json(document: object) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def show_error(error: EzError, *, as_json: bool) -> None:
    """The error object: as JSON on standard output, or in plain words on standard error.

    Where several actions failed, each of their errors is told, not the first alone.
    """
    if as_json:
        print_json({"error": error.to_dict()})
        return
    _show_words("error", error)
    for further in getattr(error, "errors", ())[1:]:
        _show_words("and", further)


def _show_words(begin: str, error: EzError) -> None:
    click.echo(f"{click.style(begin, fg='red', bold=True)} [{error.code}]: {error.what}", err=True)
    if isinstance(error, FaultyFileError) and error.faults:
        for fault in error.faults:
            click.echo(f"  {fault}", err=True)
    else:
        _show_field("evidence", error.evidence)
    _show_field("cause", error.cause)
    _show_field("fix", error.fix)


def _show_field(name: str, text: str) -> None:
    if text:
        indented = text.replace("\n", "\n            ")
        click.echo(f"  {click.style(f'{name:<9}', bold=True)} {indented}", err=True)


def _command_line() -> str:
    return " ".join(["ez-homelab", *sys.argv[1:]])
