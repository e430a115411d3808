"""Runs at the same time: they come one after the other, none loses what another has made, and each says whom it met."""

from __future__ import annotations

import re
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from real_lab import STATE, wait_for

from ez_homelab.testing.fleet.calls import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from real_lab import RealLab

RUNS = 20
REACHED = "/run/reached-at-once"
# The first container that is made waits until it is let go on.
HOLDS_ON = f"""if [[ " $* " == *" compose "*" up "* ]]; then
  touch {REACHED}
  while [[ -e {REACHED} ]]; do sleep 0.05; done
fi
exec /usr/bin/docker "$@"
"""
HOLDER = re.compile(
    r"root runs `ez-homelab apply --yes --lab /root/lab`"
    r" since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00 \(process \d+\)"
)
ANOTHER = "  more:\n    - echo3: {app: echo}\n"


@pytest.fixture(autouse=True)
def echo_is_there(echo: RealLab) -> None:
    """What is added is about an app whose health is known after a second."""


def started(lab: RealLab, *arguments: str) -> subprocess.Popen[str]:
    """The command, under way."""
    argv = lab.server.command(lab.argv(*arguments))
    pipe = subprocess.PIPE
    return subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT
    )


@contextmanager
def held_on(lab: RealLab) -> Iterator[subprocess.Popen[str]]:
    """An `apply` that holds the lock and waits before its first container; it goes on when the context ends."""
    lab.write(lab.text + ANOTHER)
    with lab.shim(HOLDS_ON), started(lab, "apply", "--yes") as run:
        try:
            reached = ["test", "-e", REACHED]
            wait_for("it is under way", lambda: lab.server.run(reached, check=False).returncode == 0)
            yield run
        finally:
            lab.server.run(["rm", "-f", REACHED])
            run.wait(120)


def test_twenty_changes_at_once_are_all_kept(lab: RealLab) -> None:
    names = [f"e{number}" for number in range(1, RUNS + 1)]
    before, containers = lab.text, set(lab.containers())
    runs = [started(lab, "add", "echo", "--stack", "tools", "--name", name, "--yes") for name in names]
    said = {name: run.communicate(timeout=900)[0] for name, run in zip(names, runs, strict=True)}
    failed = {name: said[name] for name, run in zip(names, runs, strict=True) if run.returncode != 0}
    assert failed == {}
    assert sum("wait for another run: root runs `ez-homelab add echo" in text for text in said.values()) >= RUNS - 1
    entries = re.findall(r"^ *- (e\d+):", lab.text, re.MULTILINE)
    assert sorted(entries) == sorted(names)
    assert lab.containers(everything=False).keys() == containers | set(names)
    assert [name for name in names if "GET /" not in lab.page(name)] == []
    lab.ez("plan", "--check")
    numbers = [generation["number"] for generation in lab.document("history")["generations"]]
    assert len(set(numbers[:RUNS])) == RUNS

    lab.write(before)
    lab.ez("apply", "--yes")
    assert set(lab.containers()) == containers
    lab.ez("plan", "--check")


def test_of_two_that_will_not_wait_the_second_is_told_who_holds_the_lock_since_when(lab: RealLab) -> None:
    with held_on(lab) as first:
        error = lab.document("apply", "--yes", "--wait", "0", status=1)["error"]
        lab.server.run(["rm", REACHED])
        said = first.communicate(timeout=120)[0]
    assert first.returncode == 0, said
    assert error["code"] == "locked"
    assert HOLDER.fullmatch(error["evidence"])
    assert error["fix"]


def test_the_lock_of_a_run_that_was_killed_is_taken_and_told_of(lab: RealLab) -> None:
    with held_on(lab) as run:
        holder = lab.server.read(f"{STATE}/lock").decode()
        number = re.search(r"process (\d+)", holder)
        assert number
        lab.server.run(["kill", "-KILL", number[1]])
        run.wait(120)
    assert run.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
    ended = lab.ez("apply", "--yes", "--wait", "0")
    assert f"a run that ended without saying so: {holder}" in ended.stdout + ended.stderr
    assert "GET /" in lab.page("echo3")
    lab.ez("plan", "--check")
