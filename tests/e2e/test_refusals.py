"""What stands in the way of `up` on a bare server: named with its cause and one fix, before anything is changed."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from real_lab import CHECKOUT, LAB, push_checkout, wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence

    from conftest import NewServer

    from ez_homelab.testing.fleet import Server

UP = (f"{CHECKOUT}/ez-homelab.sh", "up", "--yes", "--lab", LAB)
MARK = "/var/tmp/mark"
ARCHIVES = "/var/cache/apt/archives"
WITH_DATA = "version: 1\ndomain: lab.localhost\npaths: {data: /mnt/data}\nimages: {source: packages}\n"
FSTAB = "/dev/disk/by-label/data /mnt/data ext4 defaults 0 2\n"


@pytest.fixture(scope="module")
def bare(new_server: NewServer) -> Iterator[Server]:
    """A bare server with the sources on it, and no Python yet."""
    server = new_server()
    push_checkout(server)
    yield server
    server.remove()


@pytest.fixture(scope="module")
def ready(bare: Server) -> Server:
    """The same with the Python environment, and without Docker."""
    said = bare.run([UP[0], "--version"], check=False, env={"DEBIAN_FRONTEND": "noninteractive"})
    assert said.returncode == 2, "without a terminal and without --yes nothing is installed"
    bare.run(["apt-get", "-q", "update"])
    bare.run(["apt-get", "-q", "install", "-y", "--no-install-recommends", "python3", "python3-venv"])
    assert bare.run([UP[0], "--version"]).stdout.startswith("ez-homelab")
    return bare


def changed(server: Server) -> list[str]:
    """Files written since the mark where a set-up would leave some; apt's lists and the bootstrap's log may."""
    folders = ["/etc", "/opt", "/root", "/usr", "/mnt", "/var/lib/docker", "/var/lib/ez-homelab"]
    find = ["find", *folders, "-newer", MARK, "-type", "f", "!", "-path", "*/__pycache__/*", "!", "-name", "lock*"]
    return server.run(find, check=False).stdout.splitlines()


@contextmanager
def nothing_changes(server: Server) -> Iterator[None]:
    """Inside it no package comes or goes, and no file is written."""
    packages = server.run(["dpkg-query", "-W"]).stdout
    server.run(["touch", MARK])
    server.run(["sh", "-c", "sleep 0.02"])
    yield
    assert server.run(["dpkg-query", "-W"]).stdout == packages
    assert changed(server) == []
    assert server.run(["test", "-e", "/var/lib/ez-homelab"], check=False).returncode == 1


@contextmanager
def offline(server: Server) -> Iterator[None]:
    """Inside it there is no way out, and no package archive in apt's cache (the fleet puts those it knows there)."""
    server.set_online(False)
    server.run(["mount", "-t", "tmpfs", "tmpfs", ARCHIVES])
    try:
        yield
    finally:
        server.run(["umount", ARCHIVES])
        server.set_online(True)


def refused(server: Server, argv: Sequence[str] = UP) -> subprocess.CompletedProcess[str]:
    """The command ends with status 1 and tells cause and fix, as sentences."""
    ended = server.run(argv, check=False, timeout=300)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "error" in ended.stderr
    assert "fix" in ended.stderr
    assert "Traceback" not in ended.stderr
    return ended


def test_offline_without_python_it_says_so_and_installs_nothing(bare: Server) -> None:
    with offline(bare), nothing_changes(bare):
        told = refused(bare).stderr
    assert "apt-get could not install python3" in told
    assert "resolving 'deb.debian.org'" in told
    assert "see that this machine reaches the internet" in told


def test_offline_without_docker_it_says_so_and_installs_nothing(ready: Server) -> None:
    with offline(ready), nothing_changes(ready):
        told = refused(ready).stderr
    assert "the package archive" in told
    assert "see that core reaches the archives in /etc/apt/sources.list*" in told


def test_a_port_that_is_taken_is_named_with_who_has_it(ready: Server) -> None:
    serve = "cd /var/empty 2>/dev/null || cd /run; exec setsid --fork python3 -m http.server --bind 127.0.0.1 443"
    ready.run(["sh", "-c", f"{serve} >/dev/null 2>&1 </dev/null"])
    dial = ["bash", "-c", "</dev/tcp/127.0.0.1/443"]
    wait_for("something listens", lambda: ready.run(dial, check=False).returncode == 0)
    pid = ready.run(["pgrep", "-f", "http.server"]).stdout.split()[0]
    try:
        with nothing_changes(ready):
            told = refused(ready).stderr
    finally:
        ready.run(["kill", pid])
    assert "port 443 is taken by python3" in told
    assert f"pid={pid}" in told
    assert f"stop it (process {pid})" in told


def test_somebody_who_is_not_root_is_told_to_use_sudo(ready: Server) -> None:
    lab = "/tmp/nobodys"
    with nothing_changes(ready):
        told = refused(ready, ["runuser", "-u", "nobody", "--", UP[0], "up", "--yes", "--lab", lab]).stderr
    assert "this is not root" in told
    assert "sudo ./ez-homelab.sh up" in told
    assert ready.run(["test", "-e", lab], check=False).returncode == 1


def test_a_full_disk_is_named_with_what_is_needed(ready: Server) -> None:
    ready.run(["mkdir", "-p", "/var/lib/docker"])
    ready.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", "/var/lib/docker"])
    try:
        with nothing_changes(ready):
            told = refused(ready).stderr
    finally:
        ready.run(["umount", "/var/lib/docker"])
    assert "too little room on /var/lib/docker: 5.0 GB are needed" in told
    assert "0.1 GB free of 0.1 GB" in told


def test_a_data_path_whose_disk_is_not_mounted_is_named(ready: Server) -> None:
    fstab = ready.run(["cat", "/etc/fstab"], check=False).stdout
    ready.write("/etc/fstab", fstab + FSTAB)
    ready.write(f"{LAB}/homelab.yaml", WITH_DATA)
    ready.run(["mkdir", "-p", "/mnt/data"])
    try:
        with nothing_changes(ready):
            told = refused(ready).stderr
    finally:
        ready.write("/etc/fstab", fstab)
        ready.run(["rm", "-r", LAB, "/mnt/data"])
    assert "is on a disk that is not mounted" in told
    assert f"/etc/fstab: {FSTAB.strip()}" in told
    assert "mount /mnt/data" in told


def test_doctor_says_what_a_bare_server_lacks(ready: Server) -> None:
    ready.run([f"{CHECKOUT}/.venv/bin/ez-homelab", "init", "--lab", LAB, "--images", "packages"])
    with nothing_changes(ready):
        ended = ready.run([UP[0], "doctor", "--lab", LAB], check=False)
    assert ended.returncode == 1
    assert "Docker is not installed" in ended.stdout
    findings = re.findall("^(?:error|warning|note): ", ended.stdout, re.MULTILINE)
    assert "error: " in findings
    assert len(findings) == len(re.findall("^  fix  ", ended.stdout, re.MULTILINE))
