"""An `apply` that is killed at any moment, an engine that is, a whole server: the next run finishes what was begun.

Every round changes several things at once, kills at a random moment of the time that an undisturbed run takes, and then
looks at everything that could have been lost or left behind. `EZ_TEST_SEED` repeats a run's moments.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from real_lab import CHECKOUT, LAB, STATE

from ez_homelab.testing.fleet.calls import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from real_lab import RealLab

KILLS, ENGINE_KILLS, POWER_CUTS = 30, 5, 3
RUN_PID = "/run/apply.pid"
LEDGER = "/var/lib/docker/volumes/keeper-ledger/_data/lines"
KEPT = "  kept:\n    - keeper\n"
STATE_FILES = re.compile(
    r"lock|build\.lock|journal\.db(-wal|-shm)?|applied\.json|objects/[0-9a-f]{2}/[0-9a-f]{62}|tls/ca\.(crt|key)"
    r"|copies/locks/[a-z-]+|copies/\d+/keeper-ledger/(complete|stopped|data/lines)|edited/.+"
)
"""All that may lie below the state folder; a way back that is not finished is not among it."""
LOOK = r"""
import hashlib, json, os, sqlite3, sys
from pathlib import Path
from ez_homelab.secrets.store import SecretStore
state, lab = Path("/var/lib/ez-homelab"), Path("/root/lab")
paths = [os.path.join(folder, name) for top in ("/opt/stacks", state, lab)
         for folder, _, names in os.walk(top) for name in names]
objects = [path for path in (state / "objects").glob("*/*") if path.is_file()]
damaged = [str(path) for path in objects
           if hashlib.sha256(path.read_bytes()).hexdigest() != path.parent.name + path.name]
database = sqlite3.connect(state / "journal.db")
json.dump({
    "paths": paths,
    "empty": [folder for folder, folders, names in os.walk("/opt/stacks") if not folders and not names],
    "damaged": damaged,
    "journal": database.execute("PRAGMA integrity_check").fetchone()[0],
    "secrets": {"/".join(name): entry.value.reveal() for name, entry in SecretStore.open(lab).entries().items()},
    "applied": [*json.loads((state / "applied.json").read_text())["files"]],
}, sys.stdout)
"""


@dataclass
class Rounds:
    """One test's rounds: what the lab is to become in each, and what must hold after each."""

    lab: RealLab
    moments: random.Random
    before: str
    others: frozenset[str]
    own_files: frozenset[str] = frozenset()
    secrets: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    number: int = 0
    seconds: float = 0.0

    def tell(self, what: str) -> None:
        """For whoever looks into a run that failed, or with `-s`."""
        sys.stdout.write(f"round {self.number}: {what}\n")

    @property
    def has_fourth(self) -> bool:
        """Whether this round's lab has the app that comes and goes."""
        return self.number % 2 == 0

    def change(self) -> None:
        """An app comes or goes, another gets another environment, a third another version on the data it has."""
        self.number += 1
        third = f"  more:\n    - echo3: {{app: echo, environment: {{SOME_SETTING: round-{self.number}}}}}\n"
        fourth = "    - echo4: {app: echo}\n" if self.has_fourth else ""
        # Each third version is a new one, which has to be built, too.
        version = f"new-{self.number}" if self.number % 3 == 0 else str(self.number % 2)
        self.lab.server.write(f"{LAB}/catalog/keeper/image/version", f"{version}\n")
        self.lab.write(self.before + KEPT + third + fourth)

    def undisturbed(self) -> None:
        """Change and apply, and measure how long that takes."""
        self.change()
        begun = time.monotonic()
        self.lab.ez("apply", "--yes")
        self.seconds = time.monotonic() - begun
        self.assert_whole()

    def finish(self, *command: str) -> None:
        """The next run ends well, or says that it took a stack back; then the one after it ends well."""
        ended = self._next_run(*command)
        if "went-back" in ended.stdout + ended.stderr:
            self.tell("went back")
            ended = self._next_run("apply", "--yes")
        assert ended.returncode == 0, f"round {self.number}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        self.assert_whole()

    def _next_run(self, *command: str) -> subprocess.CompletedProcess[str]:
        ended = self.lab.server.run(self.lab.argv(*command), check=False)
        self.tell(f"{' '.join(command)}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}")
        return ended

    def assert_whole(self) -> None:
        """Nothing is lost, nothing is left over, and nothing is to be done."""
        seen = json.loads(self.lab.server.run([f"{CHECKOUT}/.venv/bin/python", "-c", LOOK]).stdout)
        assert strays(seen, self.own_files) == []
        assert seen["empty"] == []
        assert seen["damaged"] == []
        assert seen["journal"] == "ok"
        assert {name: seen["secrets"].get(name) for name in self.secrets} == self.secrets
        self.secrets = seen["secrets"]
        self.own_files = frozenset(path for path in seen["paths"] if path.startswith(f"{LAB}/"))
        self.assert_containers()
        lines = self.lab.server.read(LEDGER).decode().splitlines()
        assert lines[: len(self.lines)] == self.lines, "what was written before is there"
        assert len({line.split()[1] for line in lines}) == 1, "always the same secrets"
        self.lines = lines
        self.lab.ez("plan", "--check")

    def assert_containers(self) -> None:
        """Each once, each running or asleep, each as this round wants it."""
        wanted = self.others | {"echo3", "keeper"} | ({"echo4"} if self.has_fourth else set())
        form = "{{.Name}} {{.State.Status}} {{.Config.Image}} {{.Config.Env}} {{json .State}} made {{.Created}}"
        form += " restart {{.HostConfig.RestartPolicy.Name}}"
        ids = self.lab.server.docker(["ps", "-aq"]).stdout.split()
        rows = self.lab.server.docker(["inspect", "--format", form, *ids]).stdout.splitlines()
        told = {row.split(" ", 1)[0].removeprefix("/"): row for row in rows}
        assert told.keys() == wanted
        assert len(rows) == len(wanted)
        # What may sleep does so after each start of the engine.
        assert [row for row in rows if " running " not in row and not row.endswith(" restart no")] == []
        assert f"SOME_SETTING=round-{self.number}" in told["echo3"]
        version = self.lab.server.read(f"{LAB}/catalog/keeper/image/version").decode()
        assert self.lab.server.docker(["exec", "keeper", "cat", "/version"]).stdout == version


def strays(seen: dict[str, Any], own_files: frozenset[str]) -> list[str]:
    """Files that nobody knows: what a write left behind that did not come to its end."""
    known = {*seen["applied"], *own_files}
    found = []
    for path in seen["paths"]:
        if path.startswith(f"{STATE}/"):
            stray = not STATE_FILES.fullmatch(path.removeprefix(f"{STATE}/"))
        elif path.startswith(f"{LAB}/"):
            stray = bool(own_files) and path not in known
        else:
            stray = path not in known and not path.endswith("/dynamic/certificate.yml")
        found += [path] if stray else []
    return found


@pytest.fixture(scope="module")
def seed() -> int:
    chosen = int(os.environ.get("EZ_TEST_SEED") or secrets.randbelow(1 << 32))
    sys.stdout.write(f"EZ_TEST_SEED={chosen}\n")
    return chosen


@pytest.fixture(autouse=True)
def without_keeper_afterwards(echo: RealLab) -> Iterator[None]:
    """The lab's own fixture takes the apps away; their data and images are this test's to take."""
    yield
    echo.server.run(["rm", "-f", RUN_PID])
    echo.server.docker(["volume", "rm", "--force", "keeper-ledger"])


@pytest.fixture
def rounds(without_keeper_afterwards: None, lab: RealLab, seed: int) -> Rounds:
    return Rounds(lab, random.Random(seed), lab.text, frozenset(lab.containers()))  # noqa: S311 - no secret


def begin(lab: RealLab) -> subprocess.Popen[bytes]:
    """An `apply` under way, whose process number is known in the server."""
    said = 'echo $$ >$1; shift; exec "$@"'
    argv = lab.server.command(["sh", "-c", said, "sh", RUN_PID, *lab.argv("apply", "--yes")])
    nothing = subprocess.DEVNULL
    lab.server.run(["rm", "-f", RUN_PID])
    return subprocess.Popen(argv, stdin=nothing, stdout=nothing, stderr=nothing, env=ENVIRONMENT)


def kill_alone(lab: RealLab) -> None:
    """The command is gone at once; programs that it started live on for a while, as after the kernel's choice."""
    lab.server.run(["sh", "-c", f"kill -KILL $(cat {RUN_PID})"], check=False)


def kill_with_programs(lab: RealLab) -> None:
    """And all that it started goes with it, as when a service manager ends it."""
    script = """
family() { echo $1; for child in $(pgrep -P $1); do family $child; done; }
kill -KILL $(family $(cat "$0"))
"""
    lab.server.run(["sh", "-c", script, RUN_PID], check=False)


def kill_engine(lab: RealLab) -> None:
    """Docker's engine is gone, with the program that holds its containers."""
    lab.server.run(["sh", "-c", "kill -KILL $(pidof dockerd)"], check=False)


def cut_power(lab: RealLab) -> None:
    """Everything at once, and the server starts again."""
    lab.server.kill()
    lab.server.boot()


def spread(moments: random.Random, count: int) -> list[float]:
    """Random moments as parts of a run, one in each of as many equal stretches, in random order."""
    chosen = [(stretch + moments.random()) / count for stretch in range(count)]
    moments.shuffle(chosen)
    return chosen


@contextmanager
def telling_the_engines_log(rounds: Rounds) -> Iterator[None]:
    """Where a round fails, what Docker's engine said last is part of the story."""
    try:
        yield
    except BaseException:
        for looked in (["tail", "--lines=150", "/var/log/docker.log"], ["docker", "ps", "--all"], ["ps", "fax"]):
            ended = rounds.lab.server.run(looked, check=False)
            rounds.tell(f"{' '.join(looked)}:\n{ended.stdout}\n{ended.stderr}")
        raise


def disturb(rounds: Rounds, moment: float, kill: Callable[[RealLab], None], *again: str) -> None:
    """Change, apply, kill at that part of the time that a run takes, and let the next run finish it.

    A run that was done by then gives a better measure of the time, and the moment is tried again.
    """
    while True:
        rounds.change()
        begun = time.monotonic()
        with begin(rounds.lab) as run:
            try:
                run.wait(moment * rounds.seconds)
                killed = False
            except subprocess.TimeoutExpired:
                kill(rounds.lab)
                killed = True
            run.wait(300)
        taken = time.monotonic() - begun
        with telling_the_engines_log(rounds):
            rounds.finish(*again)
        rounds.tell(f"{'killed' if killed else 'done'} after {taken:.1f} s of {rounds.seconds:.1f} s")
        if killed:
            return
        assert run.returncode == 0
        rounds.seconds = taken


def test_killed_at_thirty_moments(rounds: Rounds) -> None:
    rounds.undisturbed()
    rounds.undisturbed()
    for number, moment in enumerate(spread(rounds.moments, KILLS)):
        disturb(rounds, moment, kill_with_programs if number % 3 == 0 else kill_alone, "apply", "--yes")


def test_the_engine_is_killed(rounds: Rounds) -> None:
    rounds.undisturbed()
    rounds.undisturbed()
    for moment in spread(rounds.moments, ENGINE_KILLS):
        disturb(rounds, moment, kill_engine, "up", "--yes")


def test_the_power_is_cut(rounds: Rounds) -> None:
    rounds.undisturbed()
    rounds.undisturbed()
    for moment in spread(rounds.moments, POWER_CUTS):
        disturb(rounds, moment, cut_power, "up", "--yes")
