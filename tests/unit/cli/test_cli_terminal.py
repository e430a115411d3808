"""How steps, tables, plans and questions look in a file and in a terminal."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from ez_homelab.cli import terminal
from ez_homelab.cli.terminal import Steps, confirm, confirm_word, show_plan, show_table
from ez_homelab.errors import UsageError
from ez_homelab.plan import Action, Plan

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = """
from ez_homelab.cli.terminal import Steps
steps = Steps()
with steps.step("pull image a") as say:
    say("layer 1\\rlayer 2\\r")
    say("\\x1b[1mbold\\x1b[0m\\tand\\x07 more")
    with steps.step("create network b"):
        pass
try:
    with steps.step("start c"):
        raise ValueError
except ValueError:
    pass
"""


# read, select, pselect6, poll, ppoll; on x86-64, then on arm64
_READING = {"0", "23", "270", "7", "271", "63", "72", "73"}


def told(text: str) -> str:
    """Without times, which differ."""
    return re.sub(r"[0-9]+\.[0-9] s", "0.0 s", text)


def test_steps_in_a_file_are_one_line_each() -> None:
    ran = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    assert ran.stdout == ""
    assert told(ran.stderr) == "  ✓ create network b  0.0 s\n  ✓ pull image a  0.0 s\n  ✗ start c  0.0 s\n"


def in_terminal(program: str, *answers: str, send: Callable[[int, str], None] | None = None) -> tuple[int, str]:
    """Exit status and everything on the screen; each answer is typed as soon as a question stands there."""
    main, side = os.openpty()
    environment = {**os.environ, "COLUMNS": "60", "TERM": "xterm", "NO_COLOR": ""}
    process = subprocess.Popen([sys.executable, "-c", program], stdin=side, stdout=side, stderr=side,
                               env=environment, start_new_session=True, close_fds=True)  # fmt: skip
    os.close(side)
    screen, left = b"", list(answers)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if select.select([main], [], [], 0.05)[0]:
            try:
                read = os.read(main, 65536)
            except OSError:
                break
            if not read:
                break
            screen += read
        if left and re.search(rb"[?)] ?(\[Y/n\])?: $", screen) and _waits_for_keys(process.pid):
            typed = left.pop(0)
            if typed == "^C":
                os.kill(process.pid, signal.SIGINT)
            else:
                os.write(main, typed.encode())
                screen += b"|"
    status = process.wait(timeout=10)
    os.close(main)
    return status, screen.decode()


def _waits_for_keys(process: int) -> bool:
    """Whether it is asleep in its question: a key that comes between the question and the reading of keys is lost."""
    state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    try:
        where = Path(f"/proc/{process}/syscall").read_text().split()[0]
    except OSError:  # a kernel that does not tell
        return state == "S"
    return state == "S" and where in _READING


def test_steps_in_a_terminal_show_what_is_under_way_and_leave_one_line_each() -> None:
    status, screen = in_terminal(STEPS)
    assert status == 0
    assert "… pull image a  layer 2" in screen
    assert "layer 1" not in screen
    assert "… pull image a  bold and  more" in screen
    assert "… create network b (+1)" in screen
    left = [line.rpartition("\x1b[2K")[2] for line in screen.replace("\r\n", "\n").rstrip("\n").split("\n")]
    plain = [re.sub(r"\x1b\[[0-9;]*[mK]|\r", "", line) for line in left]
    assert told("\n".join(plain)).splitlines() == [
        "  ✓ create network b  0.0 s", "  ✓ pull image a  0.0 s", "  ✗ start c  0.0 s",
    ]  # fmt: skip


def test_a_line_under_way_is_never_longer_than_the_terminal() -> None:
    _, screen = in_terminal("from ez_homelab.cli.terminal import Steps\nwith Steps().step('a') as say: say('x' * 500)")
    assert "x" * 40 in screen
    assert "x" * 60 not in screen


def test_two_servers_may_be_at_the_same_step(capsys: pytest.CaptureFixture[str]) -> None:
    steps = Steps()
    with steps.step("pull image a") as first, steps.step("pull image a"):
        first("layer 1")
    first("too late")
    assert told(capsys.readouterr().err) == "  ✓ pull image a  0.0 s\n" * 2


# --- tables and plans ------------------------------------------------------------------------------------------


def test_a_table_in_a_file_has_one_line_per_row_and_no_trailing_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("App", "State", "Evidence"), [("dokuwiki", "running", "healthy"), ("x", "failed", "y " * 200)])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [line.rstrip() for line in lines]
    assert lines[:2] == ["App       State    Evidence", "dokuwiki  running  healthy"]
    assert len(lines) == 3
    assert "\x1b" not in "".join(lines)


def test_text_that_looks_like_markup_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("A", "B"), [("[bold]x[/bold]", "[/]")])
    assert capsys.readouterr().out.splitlines()[1] == "[bold]x[/bold]  [/]"


def test_a_table_in_a_terminal_wraps_in_its_last_column() -> None:
    _, screen = in_terminal(
        "from ez_homelab.cli.terminal import show_table\n"
        "show_table(('App', 'State', 'Evidence'), [('dokuwiki', 'running', 'word ' * 20)])"
    )
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in screen.splitlines()]
    assert lines[1].startswith("dokuwiki  running  word")
    assert len(lines) == 4
    assert max(map(len, lines)) <= 60


def test_a_plan_in_a_file_is_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan((Action("core", "service", "wiki/dokuwiki", "create", "missing"),))
    show_plan(plan)
    assert capsys.readouterr().out == plan.text()


# --- questions -------------------------------------------------------------------------------------------------

ASK = """
import sys
from ez_homelab.cli.face import told
from ez_homelab.cli.terminal import confirm
told(lambda: sys.exit(0 if confirm("Do this?", yes=False) else 5))()
"""
ASK_INSIDE = """
import asyncio, sys
from ez_homelab.cli.face import run, told
from ez_homelab.cli.terminal import confirm
async def ask():
    return confirm("Do this?", yes=False)
told(lambda: sys.exit(0 if run(ask()) else 5))()
"""
ASK_WORD = """
import sys
from ez_homelab.cli.terminal import confirm_word
sys.exit(0 if confirm_word("Type the domain", "lab.localhost", yes=False) else 5)
"""


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("\n", 0), ("n\n", 5)])
def test_a_question(answer: str, status: int) -> None:
    assert in_terminal(ASK, answer)[0] == status


@pytest.mark.parametrize("program", [ASK, ASK_INSIDE])
@pytest.mark.parametrize("key", ["^C", "\x04"])
def test_a_question_can_be_left(program: str, key: str) -> None:
    status, screen = in_terminal(program, key)
    assert status == 130
    assert "Interrupted" in screen
    assert "Traceback" not in screen


@pytest.mark.parametrize(("answer", "status"), [("lab.localhost\n", 0), ("yes\n", 5), ("\n", 5)])
def test_what_cannot_be_brought_back_is_typed_out(answer: str, status: int) -> None:
    assert in_terminal(ASK_WORD, answer)[0] == status


def test_with_nobody_to_ask_it_says_what_to_do() -> None:
    with CliRunner().isolation(input="y\n"):
        for ask in (lambda: confirm("Do this?", yes=False), lambda: confirm_word("Type it", "x", yes=False)):
            with pytest.raises(UsageError) as error:
                ask()
            assert "nobody to ask" in error.value.what
            assert error.value.fix == "say --yes, or run it in a terminal"
        assert confirm("Do this?", yes=True)
        assert confirm_word("Type it", "x", yes=True)


def test_every_state_has_a_colour() -> None:
    from typing import get_args

    from ez_homelab.observe.states import State
    from ez_homelab.verify import proof

    assert {*get_args(State), *get_args(proof.State)} == terminal.STATE_COLOURS.keys()
