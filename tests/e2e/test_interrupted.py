"""Two runs at once, and runs that are killed: one does it, the other is told; the next one finishes what was begun."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from real_lab import STATE, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from real_lab import RealLab

MARK = "/run/reached"
REAL = '/usr/bin/docker "$@"'
IS_UP = '[[ " $* " == *" compose "*" up "* ]]'
WAITS = f"""if {IS_UP}; then touch {MARK}; while [[ -e {MARK} ]]; do sleep 0.05; done; fi
exec {REAL}
"""
# The shell's parent is the command itself. What it started goes with it, as when the power is cut.
KILLED_BEFORE = f"if {IS_UP}; then kill -KILL $PPID; exit; fi\nexec {REAL}\n"
# What Compose leaves that is killed between making a container and starting it.
KILLED_HALFWAY = (
    f'if {IS_UP}; then /usr/bin/docker "${{@/--detach/--no-start}}"; kill -KILL $PPID; exit; fi\nexec {REAL}\n'
)
KILLED_WITH_COMPOSE = f"""if {IS_UP}; then
  /usr/bin/docker events --filter event=create --filter type=container >/run/events & events=$!
  sleep 0.3
  {REAL} & compose=$!
  until [[ -s /run/events ]]; do :; done
  kill -KILL $PPID $compose $events
  exit
fi
exec {REAL}
"""
# What a recreation leaves that is cut off between stopping the old container and removing it.
KILLED_WHEN_STOPPED = f"if {IS_UP}; then /usr/bin/docker stop echo3; kill -KILL $PPID; exit; fi\nexec {REAL}\n"
KILLED_WHILE_WAITING = f"if {IS_UP}; then {REAL}; kill -KILL $PPID; exit; fi\nexec {REAL}\n"
KILLED_BETWEEN_FILES = """if [[ " $* " == *" network create "* ]]; then
  parent=$PPID
  ( until [[ -e /opt/stacks/more/compose.yaml ]]; do :; done; kill -KILL $parent ) &
fi
exec /usr/bin/docker "$@"
"""
NEW = "  more:\n    - echo3: {app: echo}\n"
CHANGED = NEW.replace("{app: echo}", "{app: echo, environment: {SOME_SETTING: other}}")


@pytest.fixture(autouse=True)
def echo_is_there(lab: RealLab, echo: RealLab) -> Iterator[None]:
    """What is killed is about an app whose health is known after a second."""
    yield
    lab.server.run(["rm", "-f", MARK, "/run/events"])


@contextmanager
def started(lab: RealLab, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command, under way until the context ends or it does."""
    argv = lab.server.command(lab.argv(*arguments))
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        try:
            yield run
        finally:
            lab.server.run(["rm", "-f", MARK])
            run.wait(120)


def with_new_app(lab: RealLab, addition: str) -> str:
    """The lab file with one app more, or that app changed."""
    return lab.text.replace(NEW, "") + addition


def half_written(lab: RealLab) -> list[str]:
    """Files beside those that are known: what a write left that did not come to its end."""
    known = set(json.loads(lab.server.read(f"{STATE}/applied.json"))["files"])
    found = lab.server.run(["find", "/opt/stacks", "-type", "f"]).stdout.splitlines()
    return [path for path in found if path not in known and not path.endswith("/dynamic/certificate.yml")]


def assert_whole(lab: RealLab, containers: Mapping[str, tuple[str, str]]) -> None:
    """Everything is there once, nothing beside it, and what was not concerned was not touched."""
    after = lab.containers()
    assert after.keys() == {*containers, "echo3"}
    assert {name: told for name, told in after.items() if name != "echo3"} == containers
    assert half_written(lab) == []
    assert "GET /" in lab.page("echo3")
    lab.ez("plan", "--check")


def test_of_two_runs_at_once_one_is_told_who_holds_the_lock(lab: RealLab) -> None:
    lab.write(with_new_app(lab, NEW))
    with lab.shim(WAITS), started(lab, "apply", "--yes") as first:
        wait_for(
            "the first run is under way", lambda: lab.server.run(["test", "-e", MARK], check=False).returncode == 0
        )
        error = lab.document("apply", "--yes", "--wait", "0", status=1)["error"]
        assert error["code"] == "locked"
        assert "ez-homelab apply --yes" in error["evidence"]
        assert "root" in error["evidence"]
        assert error["fix"]
        assert lab.document("down", "--wait", "0", status=1)["error"]["code"] == "locked"
        assert lab.document("status", status=1)["apps"], "looking needs no lock"
        lab.server.run(["rm", MARK])
        said, _ = first.communicate(timeout=120)
        assert first.returncode == 0, said
    assert "GET /" in lab.page("echo3")


@pytest.mark.parametrize(
    "shim",
    [KILLED_BETWEEN_FILES, KILLED_BEFORE, KILLED_HALFWAY, KILLED_WHILE_WAITING],
    ids=["while-files-are-written", "before-the-container", "container-made-half-way", "while-its-health-is-awaited"],
)
def test_a_killed_apply_is_finished_by_the_next_one(lab: RealLab, shim: str) -> None:
    containers = lab.containers()
    lab.write(with_new_app(lab, NEW))
    with lab.shim(shim), started(lab, "apply", "--yes") as run:
        run.communicate(timeout=120)
        assert run.returncode in (-9, 137)
    assert lab.document("plan")["actions"] or shim == KILLED_WHILE_WAITING
    lab.ez("apply", "--yes")
    assert_whole(lab, containers)


def test_an_apply_killed_while_a_container_is_replaced_leaves_no_orphan(lab: RealLab) -> None:
    containers = lab.containers()
    lab.write(with_new_app(lab, NEW))
    lab.ez("apply", "--yes")
    lab.write(with_new_app(lab, CHANGED))
    with lab.shim(KILLED_WITH_COMPOSE), started(lab, "apply", "--yes") as run:
        run.communicate(timeout=120)
        assert run.returncode in (-9, 137)
    lab.ez("apply", "--yes")
    assert_whole(lab, containers)
    settings = lab.server.docker(["inspect", "--format", "{{.Config.Env}}", "echo3"]).stdout
    assert "SOME_SETTING=other" in settings


def test_a_container_that_a_killed_apply_had_stopped_is_not_taken_for_a_persons(lab: RealLab) -> None:
    containers = lab.containers()
    lab.write(with_new_app(lab, NEW))
    lab.ez("apply", "--yes")
    lab.write(with_new_app(lab, CHANGED))
    with lab.shim(KILLED_WHEN_STOPPED), started(lab, "apply", "--yes") as run:
        run.communicate(timeout=120)
        assert run.returncode in (-9, 137)
    assert not lab.running("echo3")
    lab.ez("apply", "--yes")
    assert_whole(lab, containers)
    lab.server.docker(["stop", "echo3"])
    assert lab.document("plan")["held"]
    assert lab.document("plan")["actions"] == []


def test_after_a_power_cut_up_brings_everything_back(lab: RealLab) -> None:
    before = lab.containers()
    lab.server.kill()
    lab.server.boot()
    assert lab.server.docker(["version"], check=False).returncode != 0
    assert "Docker is not running" in lab.ez("plan", status=1).stderr
    lab.ez("up", "--yes")
    wait_for("all apps run", lambda: set(states(lab)) <= {"running", "asleep"}, seconds=60)
    assert {name: identifier for name, (identifier, _) in lab.containers().items()} == {
        name: identifier for name, (identifier, _) in before.items()
    }
    lab.ez("plan", "--check")


def states(lab: RealLab) -> list[str]:
    """Every app's state."""
    return [
        app["state"] for app in json.loads(lab.server.run(lab.argv("status", "--json"), check=False).stdout)["apps"]
    ]
