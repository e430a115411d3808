"""Apps come and go by `add` and `remove`: the file keeps its comments, and nothing else is touched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pexpect
import pytest
from real_lab import DOMAIN, LAB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from real_lab import RealLab

NAME = "echo2"
LOCK_FILE = f"{LAB}/images.lock"


@pytest.fixture(autouse=True)
def without_it(lab: RealLab, echo: RealLab) -> Iterator[None]:
    """Each test starts from the lab with `echo` in it."""
    assert NAME not in lab.text
    yield


def locked(lab: RealLab) -> dict[str, Any]:
    """What images.lock says."""
    found: dict[str, Any] = json.loads(lab.server.read(LOCK_FILE))
    return found


def without_lock(everything: tuple[Any, ...]) -> tuple[Any, ...]:
    """Everything but images.lock."""
    *rest, files = everything
    return (*rest, {path: digest for path, digest in files.items() if path != LOCK_FILE})


def others(lab: RealLab) -> dict[str, tuple[str, str]]:
    """Every container but the one that comes and goes."""
    return {name: told for name, told in lab.containers().items() if name != NAME}


def asked(lab: RealLab, *arguments: str, answer: str) -> tuple[int, str]:
    """Run it over SSH in a terminal, as a person does, and answer its question; the exit status and all it said."""
    program, *rest = lab.server.ssh_command(lab.argv(*arguments), terminal=True)
    with pexpect.spawn(program, rest, encoding="utf-8", timeout=60, dimensions=(40, 100)) as terminal:
        terminal.expect_exact("Do this? [Y/n]")
        said = terminal.before or ""
        terminal.sendline(answer)
        terminal.expect(pexpect.EOF, timeout=120)
        said += terminal.before or ""
        terminal.close()
        return int(terminal.exitstatus or 0), said


def test_an_app_is_added_under_its_own_name_and_taken_away_again(lab: RealLab) -> None:
    before, lock, text, containers = without_lock(lab.everything()), locked(lab), lab.text, others(lab)
    told = lab.ez("add", "echo", "--name", NAME, "--stack", "tools", "--yes").stdout
    assert f"+    - {NAME}:" in told
    assert f"+ network edge-{NAME} create: missing" in " ".join(told.split())
    assert f"+ attachment core/traefik on edge-{NAME} connect: not connected" in " ".join(told.split())
    added = lab.text.splitlines()
    assert [line for line in text.splitlines() if line not in added] == []
    assert text.count("#") == lab.text.count("#")

    assert "GET /" in lab.page(NAME)
    assert f"Host: {NAME}.{DOMAIN}" in lab.page(NAME)
    assert "GET /" in lab.page("echo")
    assert others(lab) == containers, "Traefik or another app was restarted"

    told = lab.ez("remove", NAME, "--yes").stdout
    assert f"-    - {NAME}:" in told
    assert lab.text == text
    assert lab.status_of(f"https://{NAME}.{DOMAIN}/") == "404"
    assert without_lock(lab.everything()) == before
    # Its data would stay, so where its images came from is not forgotten either.
    assert locked(lab) == {**lock, "sources": {**lock["sources"], NAME: "packages"}}


def test_a_stack_of_its_own_comes_and_goes_with_its_folder(lab: RealLab) -> None:
    before = lab.everything()
    lab.ez("add", "echo", "--name", NAME, "--stack", "more", "--yes")
    assert "GET /" in lab.page(NAME)
    assert "/opt/stacks/more/compose.yaml" in lab.files()
    lab.ez("remove", NAME, "--yes")
    assert lab.server.run(["test", "-e", "/opt/stacks/more"], check=False).returncode == 1
    assert lab.containers() == before[0]
    assert lab.networks() == before[1]


def test_no_means_that_nothing_changes(lab: RealLab) -> None:
    before = lab.everything()
    status, said = asked(lab, "add", "echo", "--name", NAME, "--stack", "tools", answer="n")
    assert status == 0
    assert "Nothing was changed." in said
    assert lab.everything() == before


def test_yes_in_a_terminal_shows_the_steps_and_does_it(lab: RealLab) -> None:
    status, said = asked(lab, "add", "echo", "--name", NAME, "--stack", "tools", answer="y")
    assert status == 0
    assert f"create service tools/{NAME}" in said
    assert "GET /" in lab.page(NAME)


def test_without_a_terminal_and_without_yes_nothing_is_done(lab: RealLab) -> None:
    before = lab.everything()
    told = lab.ez("add", "echo", "--name", NAME, "--stack", "tools", status=2).stderr
    assert "there is nobody to ask" in told
    assert "--yes" in told
    assert lab.everything() == before


def test_an_unknown_app_is_told_with_the_nearest_known_one(lab: RealLab) -> None:
    before = lab.everything()
    assert "dokuwiki" in lab.ez("add", "dokuwikki", "--yes", status=2).stderr
    assert "echo" in lab.ez("remove", "ecco", "--yes", status=2).stderr
    assert lab.everything() == before


def test_an_app_of_the_labs_own_catalog_with_mistakes_is_told_with_file_and_line(lab: RealLab) -> None:
    path = f"{LAB}/catalog/echo/service.yaml"
    good = lab.server.read(path)
    lab.server.write(path, good.replace(b"port: 8080", b"port: 808080"))
    try:
        told = lab.ez("plan", status=2).stderr
    finally:
        lab.server.write(path, good)
    assert "catalog/echo/service.yaml:" in told
    assert "Traceback" not in told
