"""Every command of the README, run in its order by a person at a terminal, on the session's real lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pexpect
import pytest
from real_lab import CHECKOUT, LAB, SOURCES, RealLab

from ez_homelab.reference.markdown import commands

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMANDS = commands((SOURCES / "README.md").read_text())

RUN_BY_CI = "./ez-homelab.sh test"
"""What runs this test; it is not run inside itself."""

PROMPT = "README-PROMPT> "
QUESTION = r"\[Y/n\]: $"
MINUTES = 20 * 60


class Terminal:
    """A person at a terminal of the server, in the checkout, who says yes to what is asked."""

    def __init__(self, home: RealLab) -> None:
        shell = f"cd {CHECKOUT}; export EZ_LAB={LAB} PS1='{PROMPT}'; exec bash --noprofile --norc"
        program, *arguments = home.server.ssh_command(["bash", "-c", shell], terminal=True)
        self._child = pexpect.spawn(program, arguments, timeout=MINUTES, encoding="utf-8", dimensions=(50, 200))
        self._child.expect_exact(PROMPT)

    def run(self, line: str) -> tuple[int, str]:
        """The exit status, and all that stood on the screen."""
        screen = self._until_prompt(line)
        status = self._until_prompt("echo status=$?")
        return int(status.rpartition("status=")[2].split()[0]), screen

    def close(self) -> None:
        self._child.close(force=True)

    def _until_prompt(self, line: str) -> str:
        self._child.sendline(line)
        self._child.expect(r"\r?\n")  # its own echo
        screen = ""
        while self._child.expect([QUESTION, PROMPT]) == 0:
            screen += str(self._child.before)
            self._child.sendline("")
        return screen + str(self._child.before)


@pytest.fixture(scope="module")
def terminal(home: RealLab) -> Iterator[Terminal]:
    opened = Terminal(home)
    yield opened
    opened.close()
    home.ez("users", "remove", "bob", "--yes")


def test_the_tests_themselves_are_in_the_readme() -> None:
    assert RUN_BY_CI in COMMANDS


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != RUN_BY_CI])
def test_command(terminal: Terminal, command: str) -> None:
    status, screen = terminal.run(command)
    assert status == 0, f"{command}: {status}\n{screen}"
    assert "Traceback" not in screen


def test_at_the_end_everything_is_as_before(home: RealLab) -> None:
    assert not home.document("plan")["actions"]
    assert home.document("verify")["holds"]
