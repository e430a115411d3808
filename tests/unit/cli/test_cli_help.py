"""What `--help` says, word for word (`UPDATE_GOLDEN=1 pytest tests/unit/cli` rewrites it), and what it costs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ez_homelab import __version__
from ez_homelab.cli.app import ENTRIES, cli

HELP = Path(__file__).parent / "help"


def commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [()]
    context = click.Context(cli)
    for name in cli.list_commands(context):
        found.append((name,))
        command = cli.get_command(context, name)
        if isinstance(command, click.Group):
            found += [(name, below) for below in command.list_commands(context)]
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_help(words: tuple[str, ...]) -> None:
    told = CliRunner().invoke(cli, [*words, "--help"], prog_name="ez-homelab", terminal_width=110)
    assert told.exit_code == 0
    path = HELP / f"{'-'.join(words) or 'ez-homelab'}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        HELP.mkdir(exist_ok=True)
        path.write_text(told.stdout)
    assert told.stdout == path.read_text()
    assert CliRunner().invoke(cli, [*words, "-h"], prog_name="ez-homelab", terminal_width=110).stdout == told.stdout


def test_every_snapshot_is_of_a_command() -> None:
    assert {path.stem for path in HELP.iterdir()} == {"-".join(words) or "ez-homelab" for words in commands()}


def test_version() -> None:
    assert CliRunner().invoke(cli, ["--version"], prog_name="ez-homelab").stdout == f"ez-homelab {__version__}\n"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("stauts", "there is no command 'stauts'. Did you mean 'status'?"),
        ("aply", "there is no command 'aply'. Did you mean 'apply'?"),
        ("xyzzy", "there is no command 'xyzzy'."),
    ],
)
def test_a_command_that_there_is_not(typed: str, said: str) -> None:
    told = CliRunner().invoke(cli, [typed], prog_name="ez-homelab")
    assert told.exit_code == 2
    assert said in told.stderr
    assert told.stderr.rstrip().endswith(said)


def test_an_option_that_there_is_not() -> None:
    told = CliRunner().invoke(cli, ["plan", "--chekc"], prog_name="ez-homelab")
    assert told.exit_code == 2
    assert "--check" in told.stderr


PROBE = """
import sys
before = set(sys.modules)
import ez_homelab.cli.app
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(loaded - sys.stdlib_module_names), sep=",")
print("asyncio" in sys.modules)
"""


def test_help_imports_click_and_nothing_else_of_third_parties() -> None:
    told = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["click,ez_homelab", "False"]


def test_help_of_all_imports_no_command() -> None:
    program = (
        "import sys; from ez_homelab.cli import main; sys.argv = ['ez-homelab', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(*(name for name in sys.modules if name.startswith('ez_homelab.cli.commands')), file=sys.stderr)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stderr.strip() == ""
    assert all(name in told.stdout for name in ENTRIES)


def test_a_reader_that_stops_early_is_no_error() -> None:
    program = "import sys; from ez_homelab.cli import main; sys.argv = ['ez-homelab', 'catalog', '--json']; main()"
    shown = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert shown.stdout is not None
    assert shown.stderr is not None
    shown.stdout.close()
    assert b"Traceback" not in shown.stderr.read()
    shown.wait()
