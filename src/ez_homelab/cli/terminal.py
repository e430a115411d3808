"""How steps, plans and tables look in a terminal. Everything also reads well in a file or a CI log."""

from __future__ import annotations

import re
import signal
import sys
import time
from contextlib import contextmanager
from io import StringIO
from itertools import count
from typing import TYPE_CHECKING

import click

from ez_homelab.redaction import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ez_homelab.plan import Plan

COLOURS = {"+": "green", "~": "yellow", "-": "cyan", "!": "red"}
STATE_COLOURS = {
    "running": "green", "passed": "green", "asleep": "cyan", "starting": "yellow", "held": "yellow", "note": "yellow",
    "missing": "red", "failed": "red", "unknown": "magenta",
}  # fmt: skip


# ECMA-48, 5.4: a control sequence is ESC [, parameters, intermediates, one final byte.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class Steps:
    """Prints a line per finished step with its time; in a terminal also what is under way now (a `Progress`)."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._numbers = count()
        self._under_way: dict[int, tuple[str, str]] = {}
        self._drawn = False

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """See `Progress`."""
        started = time.monotonic()
        # Not by name: two servers may be at the same step.
        number = next(self._numbers)
        self._under_way[number] = (name, "")
        self._draw()
        try:
            yield lambda line: self._detail(number, line)
        except BaseException:
            self._finish(number, click.style("✗", fg="red"), started)
            raise
        self._finish(number, click.style("✓", fg="green"), started)

    def _detail(self, number: int, line: str) -> None:
        if number in self._under_way:
            name, _ = self._under_way[number]
            self._under_way[number] = (name, _last_picture(line))
            self._draw()

    def _finish(self, number: int, mark: str, started: float) -> None:
        name, _ = self._under_way.pop(number)
        self._clear()
        click.echo(f"  {mark} {name}  {click.style(f'{time.monotonic() - started:.1f} s', dim=True)}", err=True)
        self._draw()

    def _draw(self) -> None:
        """One line that is drawn over: the step begun last and its latest detail."""
        if not self._live or not self._under_way:
            return
        name, detail = self._under_way[max(self._under_way)]
        others = f" (+{len(self._under_way) - 1})" if len(self._under_way) > 1 else ""
        text = f"  … {name}{others}  {detail}"
        self._clear()
        click.echo(click.style(text[: _width() - 1], dim=True), nl=False, err=True)
        self._drawn = True

    def _clear(self) -> None:
        if self._drawn:
            click.echo("\r\x1b[2K", nl=False, err=True)
            self._drawn = False


def _last_picture(line: str) -> str:
    """What a line leaves on a screen, as plain text.

    Programs that paint their own progress end a picture with a carriage return, and colour it: the last one counts.
    """
    # Before the line is cut to the screen's width: half a secret would no longer be known as one.
    plain = clean(_ESCAPES.sub("", line.rstrip("\r").rpartition("\r")[2]))
    return "".join(character if character.isprintable() else " " for character in plain)


def _width() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def show_plan(plan: Plan) -> None:
    """The plan's one text form, coloured where the terminal has colours."""
    for line in plan.text().splitlines():
        sign = line.strip()[:1]
        click.secho(line, fg=COLOURS.get(sign) if line.startswith("  ") else None)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table without frames. A cell that is a state word is coloured; long cells wrap in the last column."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number < len(columns) - 1)
    for row in rows:
        # Before cells are wrapped, as in a line of progress.
        table.add_row(*(Text(clean(cell), style=STATE_COLOURS.get(cell, "")) for cell in row))
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(table)
        return
    # In a file or a pipe nothing wraps: one row is one line, and ends where its text ends.
    wide = Console(highlight=False, width=10_000, file=StringIO())
    wide.print(table)
    for line in wide.file.getvalue().splitlines():  # type: ignore[attr-defined]
        click.echo(line.rstrip())


def _require_terminal(question: str) -> None:
    """Raises `UsageError` where there is nobody to ask."""
    if not sys.stdin.isatty():
        from ez_homelab.errors import UsageError

        raise UsageError(
            f"there is nobody to ask: {question}",
            cause="standard input is not a terminal",
            fix="say --yes, or run it in a terminal",
        )


def confirm(question: str, *, yes: bool) -> bool:
    """The answer; True without asking with `--yes`. Raises `UsageError` where there is nobody to ask."""
    if yes:
        return True
    _require_terminal(question)
    with _interruptible():
        return click.confirm(question, default=True, err=True)


def confirm_word(question: str, word: str, *, yes: bool) -> bool:
    """Whether the person typed exactly the word: for what cannot be brought back."""
    if yes:
        return True
    _require_terminal(question)
    with _interruptible():
        return str(click.prompt(f"{question} ({word})", default="", show_default=False, err=True)) == word


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends a question at once; asyncio's own handler would only note it and let the question stand."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
