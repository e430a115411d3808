"""The group of all commands. Only names and one-line helps stand here, so that `--help` imports nothing else."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import click

from ez_homelab import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable


class Entry(NamedTuple):
    """A command's module below `ez_homelab.cli.commands` (its function has the command's name) and its one line."""

    module: str
    help: str


SECTIONS: dict[str, dict[str, Entry]] = {
    "Start": {
        "up": Entry("up", "From a bare machine to apps over HTTPS: prerequisites, lab, apply, proof."),
        "init": Entry("init", "Write a commented starter lab."),
        "trust": Entry("trust", "Make this machine and Chromium trust the lab's certificates."),
    },
    "Change": {
        "add": Entry("edit", "Add an app to the lab, show the plan, ask, apply."),
        "remove": Entry("edit", "Take an app out of the lab; its data stays."),
        "plan": Entry("plan", "Show what apply would do, and why. Changes nothing."),
        "apply": Entry("apply", "Make the servers match the lab file."),
        "rollback": Entry("rollback", "Make the lab as an earlier generation was."),
        "wake": Entry("on_demand", "Wake apps that sleep."),
        "sleep": Entry("on_demand", "Put apps to sleep now."),
        "users": Entry("users", "Who may sign in: list, add, invite, password, groups, second factor."),
        "down": Entry("down", "Stop every app; data stays (with --purge it goes too)."),
    },
    "Look": {
        "status": Entry("status", "Every app: address, state, evidence."),
        "verify": Entry("verify", "Prove from outside what users rely on."),
        "doctor": Entry("doctor", "Find what is wrong, its cause and one fix."),
        "logs": Entry("logs", "An app's log."),
        "check": Entry("check", "Check the lab file: every mistake with its position."),
        "drift": Entry("drift", "What is otherwise than the lab left it, and what becomes of edited files."),
        "history": Entry("history", "Every apply that was carried out, by number."),
        "images": Entry("images", "The images that apps run: list, lock, build, copy, prune."),
        "secrets": Entry("secrets", "The values that the lab generated: list, show, rotate."),
        "catalog": Entry("catalog", "The apps that can be added."),
        "completion": Entry("completion", "Print the completion script for a shell."),
    },
    "Develop": {
        "fleet": Entry("fleet", "Throw-away test servers on this machine, to try things."),
        "test": Entry("test", "Run the project's tests (--fast: without Docker)."),
        "bench": Entry("bench", "Measure the budgets and print them."),
    },
}
ENTRIES = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class LazyGroup(click.Group):
    """Knows its commands by name and imports one only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All names, in the order of the sections."""
        return [*ENTRIES]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported now; None for a name that there is not."""
        entry = ENTRIES.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(
            import_module(f"ez_homelab.cli.commands.{entry.module}"), f"{cmd_name}_command"
        )
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for a name that there is not."""
        if args and args[0] not in ENTRIES and not args[0].startswith("-"):
            ctx.fail(f"there is no command {args[0]!r}.{_did_you_mean(args[0], ENTRIES)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The commands by section."""
        width = max(map(len, ENTRIES))
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), entry.help) for name, entry in entries.items()])


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, [*known], n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "--version", message="%(prog)s %(version)s")
def cli() -> None:
    """One file says what your homelab is; one command makes it so, and proves it.

    \b
    A new machine:  ez-homelab up
    A new app:      ez-homelab add dokuwiki
    """
