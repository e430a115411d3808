"""A disk that fills up at each of the moments at which an apply writes: told clearly, and what served goes on serving.

A server of its own, whose engine, stacks and state each have a small file system in memory. One is full when its size
is set to what it holds, and has space again when that is undone.
"""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest
from real_lab import DOMAIN, LAB, SOURCES, STATE, RealLab, up_from_nothing, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import NewServer

ENGINE, STACKS = "/var/lib/docker", "/opt/stacks"
SIZE = "8g"
"""Memory is taken by what is in there, not by the size; `up` asks for 5 GB that are free."""

LAB_FILE = (
    f"version: 1\ndomain: {DOMAIN}\nimages: {{source: packages}}\nstacks:\n  locked:\n    - vault: {{policy: bypass}}\n"
)
CHANGED = LAB_FILE.replace("bypass}", "bypass, environment: {SOME_SETTING: %s}}")
SHELF = f"{ENGINE}/volumes/vault-shelf/_data"
DOCKERFILE = f"{LAB}/catalog/vault/image/Dockerfile"
ADDRESS = f"https://vault.{DOMAIN}/health"

# Asks every tenth of a second until its mark is taken away, and prints every answer that was another one.
ASK = f"""
while [ -e /root/asking ]; do
    [ "$(curl -sk --max-time 5 {ADDRESS})" = well ] || date --iso-8601=ns
    sleep 0.1
done
"""


@pytest.fixture(scope="module")
def lab(new_server: NewServer) -> Iterator[RealLab]:
    """A lab with one app, which has a database, on such a server."""
    server = new_server()
    for folder in (ENGINE, STACKS, STATE):
        server.run(["mkdir", "-p", folder])
        server.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs", folder])
    server.push(SOURCES / "tests/e2e/catalog", f"{LAB}/catalog")
    server.write(f"{LAB}/homelab.yaml", LAB_FILE)
    yield up_from_nothing(server)
    server.remove()


@pytest.fixture(autouse=True)
def sound(lab: RealLab) -> Iterator[None]:
    """Each test begins and ends with a lab in which there is nothing to do."""
    assert lab.planned() == {}
    yield
    lab.write(LAB_FILE)
    lab.server.push(SOURCES / "tests/e2e/catalog", f"{LAB}/catalog")
    lab.restore()


def size(lab: RealLab, folder: str, size: str) -> None:
    lab.server.run(["mount", "-o", f"remount,size={size}", folder])


def fill(lab: RealLab, folder: str, leaving: int = 0) -> None:
    """Let the file system have so many bytes left."""
    total, free = map(int, lab.server.run(["stat", "-f", "-c", "%b %f", folder]).stdout.split())
    size(lab, folder, str((total - free) * 4096 + leaving))


@contextmanager
def full(lab: RealLab, folder: str, leaving: int = 0) -> Iterator[None]:
    """Inside it that file system is full."""
    fill(lab, folder, leaving)
    try:
        yield
    finally:
        size(lab, folder, SIZE)


@contextmanager
def serving(lab: RealLab) -> Iterator[None]:
    """Inside it the app is asked all the time, and must always answer."""
    lab.server.run(["touch", "/root/asking"])
    asking = subprocess.Popen(lab.server.command(["bash", "-c", ASK]), stdout=subprocess.PIPE, text=True)
    try:
        yield
    finally:
        lab.server.run(["rm", "/root/asking"])
        failed, _ = asking.communicate(timeout=30)
    assert failed == "", "the app did not answer"


def refused(lab: RealLab) -> dict[str, Any]:
    """The apply's error, which says that the disk is full and how to see what fills it."""
    error: dict[str, Any] = lab.document("apply", "--yes", status=1)["error"]
    assert error["code"]
    assert "the disk is full" in error["cause"] or "there is no space" in error["what"]
    assert "df -h" in error["fix"] or "docker system df" in error["fix"]
    return error


def of_stacks(lab: RealLab) -> dict[str, str]:
    """The hash of every file of the stacks."""
    return {path: digest for path, digest in lab.files().items() if path.startswith(STACKS)}


def finished(lab: RealLab) -> None:
    """With space, `apply` does what is due, and then nothing is."""
    lab.ez("apply", "--yes")
    assert lab.planned() == {}
    wait_for("it answers", lambda: lab.curl(ADDRESS).stdout == "well\n")


def test_while_a_stacks_files_are_written(lab: RealLab) -> None:
    lab.write(CHANGED % ("x" * 4000))
    files, containers = of_stacks(lab), lab.containers()
    with serving(lab), full(lab, STACKS, 4096):
        error = refused(lab)
        assert f"{STACKS}/locked/compose.yaml was not written" in str(error)
        assert of_stacks(lab) == files
        assert lab.containers() == containers
        told = lab.ez("apply", "--yes", status=1).stderr
        assert "the disk is full" in told
        assert f"see what fills it (space, or number of files): df -h {STACKS}/locked" in told
    finished(lab)


def test_while_an_image_is_built(lab: RealLab) -> None:
    add_to_recipe(lab, f"USER root\nRUN head -c 64M /dev/zero >/large-{token_hex(8)}\nUSER 65534:65534")
    containers = lab.containers()
    with serving(lab), full(lab, ENGINE, 16 << 20):
        error = refused(lab)
        assert "could not be built" in error["what"]
        assert lab.containers() == containers
    finished(lab)
    assert lab.containers()["vault"] != containers["vault"]


def new_version(lab: RealLab, megabytes: int) -> None:
    """Another image, so that the database, which is so large, is copied before it starts."""
    add_to_recipe(lab, "LABEL org.opencontainers.image.version=2")
    fills = f"head -c {megabytes}M /dev/zero >{SHELF}/large && chown 65534:65534 {SHELF}/large"
    lab.server.run(["sh", "-c", fills])


def add_to_recipe(lab: RealLab, line: str) -> None:
    """Let the image be another one; its recipe has not been built before."""
    recipe = lab.server.read(DOCKERFILE).decode()
    lab.server.write(DOCKERFILE, f"{recipe}# {token_hex(8)}\n{line}\n")


def copies(lab: RealLab) -> set[str]:
    """What shows a whole copy, and what is left of one that is not."""
    named = ["(", "-name", "complete", "-o", "-name", "incoming*", ")"]
    return set(lab.server.run(["find", f"{STATE}/copies", *named]).stdout.split())


def test_before_a_volume_is_copied(lab: RealLab) -> None:
    new_version(lab, 100)
    containers = lab.containers()
    with serving(lab), full(lab, STATE, 80 << 20):
        error = refused(lab)
        assert "no space on core for a copy of vault-shelf; nothing was changed" in error["what"]
        assert lab.containers() == containers
    finished(lab)
    assert lab.server.run(["stat", "-c", "%s", f"{SHELF}/large"]).stdout == f"{100 << 20}\n"


def test_while_a_volume_is_copied(lab: RealLab) -> None:
    new_version(lab, 300)
    containers = lab.containers()
    there = copies(lab)
    # Something else fills the disk after it was looked at.
    lab.server.write("/usr/local/sbin/du", "#!/bin/sh\necho 4096 counted\n", mode=0o755)
    try:
        with full(lab, STATE, 80 << 20):
            error = refused(lab)
            assert "the data of vault-shelf could not be copied" in str(error)
            assert {name: made for name, (made, _) in lab.containers().items()} == {
                name: made for name, (made, _) in containers.items()
            }
            wait_for("the version before answers", lambda: lab.curl(ADDRESS).stdout == "well\n")
            assert copies(lab) <= there
    finally:
        lab.server.run(["rm", "/usr/local/sbin/du"])
    finished(lab)
    assert lab.containers()["vault"] != containers["vault"]


def test_before_the_journal_is_written(lab: RealLab) -> None:
    lab.write(CHANGED % "other")
    files, containers = of_stacks(lab), lab.containers()
    with serving(lab), full(lab, STATE):
        refused(lab)
        assert lab.containers() == containers
        assert of_stacks(lab) == files
    finished(lab)


def test_while_a_generation_is_kept(lab: RealLab) -> None:
    lab.write(CHANGED % "other")
    containers = lab.containers()
    used = f"$(( ($(stat -f -c '%b - %f' {STATE})) * 4096 ))"
    fills = f'[[ "$*" == *" up "* ]] && mount -o remount,size={used} {STATE}\nexec /usr/bin/docker "$@"\n'
    with lab.shim(fills):
        try:
            refused(lab)
            # What is new is well, and only that it is could not be kept: that is no reason to take it back.
            wait_for("it answers", lambda: lab.curl(ADDRESS).stdout == "well\n")
        finally:
            size(lab, STATE, SIZE)
    finished(lab)
    assert lab.containers()["vault"] != containers["vault"]
    assert "SOME_SETTING=other" in lab.server.docker(["inspect", "--format", "{{.Config.Env}}", "vault"]).stdout
