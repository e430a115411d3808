"""How steps, plans and tables look in a terminal. Everything also reads well in a file or a CI log."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ez_homelab.plan import Plan

COLOURS = {"+": "green", "~": "yellow", "-": "cyan", "!": "red"}
STATE_COLOURS = {
    "running": "green", "passed": "green", "starting": "yellow", "held": "yellow", "note": "yellow", "missing": "red",
    "failed": "red", "unknown": "magenta",
}  # fmt: skip


class Steps:
    """Prints a line per finished step with its time; in a terminal also what is under way now (a `Progress`)."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._under_way: dict[str, str] = {}
        self._drawn = False

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """See `Progress`."""
        started = time.monotonic()
        self._under_way[name] = ""
        self._draw()
        try:
            yield lambda line: self._detail(name, line)
        except BaseException:
            self._finish(name, click.style("✗", fg="red"), started)
            raise
        self._finish(name, click.style("✓", fg="green"), started)

    def _detail(self, name: str, line: str) -> None:
        # Programs that paint their own progress end a picture with a carriage return: the last one counts.
        self._under_way[name] = line.rstrip("\r").rpartition("\r")[2]
        self._draw()

    def _finish(self, name: str, mark: str, started: float) -> None:
        del self._under_way[name]
        self._clear()
        click.echo(f"  {mark} {name}  {click.style(f'{time.monotonic() - started:.1f} s', dim=True)}", err=True)
        self._draw()

    def _draw(self) -> None:
        """One line that is drawn over: the step begun last and its latest detail."""
        if not self._live or not self._under_way:
            return
        name, detail = list(self._under_way.items())[-1]
        others = f" (+{len(self._under_way) - 1})" if len(self._under_way) > 1 else ""
        text = f"  … {name}{others}  {detail}".expandtabs(1)
        self._clear()
        click.echo(click.style(text[: _width() - 1], dim=True), nl=False, err=True)
        self._drawn = True

    def _clear(self) -> None:
        if self._drawn:
            click.echo("\r\x1b[2K", nl=False, err=True)
            self._drawn = False


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
        table.add_row(*(Text(cell, style=STATE_COLOURS.get(cell, "")) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        # In a file or a pipe nothing wraps: one row is one line.
        console = Console(highlight=False, width=10_000)
    console.print(table)


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
    return click.confirm(question, default=True, err=True)


def confirm_word(question: str, word: str, *, yes: bool) -> bool:
    """Whether the person typed exactly the word: for what cannot be brought back."""
    if yes:
        return True
    _require_terminal(question)
    return str(click.prompt(f"{question} ({word})", default="", show_default=False, err=True)) == word
