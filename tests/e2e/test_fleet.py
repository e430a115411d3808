"""The fleet itself: real servers, apart from each other and from the machine, and gone without a trace."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ez_homelab.errors import CommandError, PrerequisiteError, UsageError
from ez_homelab.testing.fleet import Fleet, Server, engine_packages
from ez_homelab.testing.fleet.processes import start_time, wait_until

if TYPE_CHECKING:
    from conftest import NewServer

ENGINE = (*engine_packages("bookworm"), "busybox-static")
IMAGE = "box"
_MAKE_IMAGE = """
mkdir -p /tmp/image/bin /tmp/image/www && cp /bin/busybox /tmp/image/bin/ && hostname >/tmp/image/www/index.html
tar -C /tmp/image -c . | docker import - box
"""
_GET = 'exec 3<>"/dev/tcp/$1/8080"; printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3; cat <&3'
_OWNER = """
import sys, time
from pathlib import Path
from ez_homelab.testing.fleet import Fleet
fleet = Fleet.up(2, folder=Path(sys.argv[1]), packages=sys.argv[2].split(","))
core = fleet.servers["core"]
core.start_docker()
core.run(["sh", "-c", sys.argv[3]])
core.docker(["run", "-d", "box", "/bin/busybox", "sleep", "10000"])
core.open_port(0, 22)
print("ready", flush=True)
time.sleep(10000)
"""


@pytest.fixture(scope="module")
def left(new_server: NewServer) -> Server:
    return _with_web(new_server("left", packages=ENGINE))


@pytest.fixture(scope="module")
def right(new_server: NewServer) -> Server:
    return _with_web(new_server("right", packages=ENGINE))


def _with_web(server: Server) -> Server:
    server.start_docker()
    server.run(["sh", "-c", _MAKE_IMAGE])
    web = ["run", "-d", "--name", f"web-{server.name}", "-p", "8080:80", IMAGE]
    server.docker([*web, "/bin/busybox", "httpd", "-f", "-h", "/www"])
    return server


def _fetch(server: Server, name: str) -> str:
    """The last line that port 8080 of the name answers with, asked for from inside the server."""
    return server.run(["bash", "-c", _GET, "get", name], timeout=10).stdout.splitlines()[-1]


def _dials(server: Server, address: str, port: int) -> bool:
    dial = ["timeout", "3", "bash", "-c", f"</dev/tcp/{address}/{port}"]
    return server.run(dial, check=False).returncode == 0


def _what_the_host_has() -> dict[str, object]:
    """What a fleet must not change on the machine. Its own engine, should it run one, may go on meanwhile."""
    links = json.loads(subprocess.run(["ip", "-json", "link"], capture_output=True, check=True).stdout)
    paths = [Path(p) for p in ("/opt", "/opt/stacks", "/etc/docker", "/etc/resolv.conf", "/etc/hosts", "/run/sshd")]
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return {
        "links": sorted(link["ifname"] for link in links if not link["ifname"].startswith("veth")),
        "mounts": [line for line in mounts if "ez-homelab" in line or "orphan" in line],
        "paths": {str(path): path.stat().st_mtime_ns for path in paths if path.exists()},
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(encoding="ascii"),
    }


# --- a fresh machine ---------------------------------------------------------------------------------------------


def test_a_bare_server_has_what_a_fresh_debian_has_and_no_more(bare_server: Server) -> None:
    there = bare_server.run(["sh", "-c", "for p; do command -v $p; done", "sh", "sshd", "ip", "ps", "sudo"]).stdout
    assert there.split() == ["/usr/sbin/sshd", "/usr/sbin/ip", "/usr/bin/ps", "/usr/bin/sudo"]
    for program in ("python3", "docker", "iptables", "curl"):
        assert bare_server.run(["which", program], check=False).returncode == 1
    assert bare_server.run(["hostname"]).stdout == "bare\n"
    assert bare_server.read("/etc/debian_version").startswith(b"12.")


def test_a_server_really_installs_packages_and_the_machine_does_not_notice(new_server: NewServer) -> None:
    server = new_server()
    before = _what_the_host_has()
    server.run(["apt-get", "-q", "update"])
    server.run(["apt-get", "-q", "install", "-y", "--no-install-recommends", "hello"])
    server.write("/opt/stacks/app/compose.yaml", "services: {}\n")
    assert server.run(["hello"]).stdout == "Hello, world!\n"
    assert _what_the_host_has() == before


def test_the_outside_is_reached_over_https_with_the_machines_own_trust(bare_server: Server) -> None:
    release = "https://deb.debian.org/debian/dists/bookworm/Release"
    bare_server.run(["/usr/lib/apt/apt-helper", "download-file", release, "/root/Release"])
    assert b"Codename: bookworm" in bare_server.read("/root/Release")


def test_a_server_cannot_change_the_machines_kernel_settings(bare_server: Server) -> None:
    ended = bare_server.run(["sh", "-c", "echo 1 >/proc/sys/kernel/panic"], check=False)
    assert "Read-only file system" in ended.stderr


def test_a_server_cannot_reach_the_machines_loopback(bare_server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert not _dials(bare_server, "10.0.2.2", listening.getsockname()[1])


def test_debian_13_is_there_by_name(new_server: NewServer) -> None:
    assert new_server("newer", suite="trixie").read("/etc/debian_version").startswith(b"13")


# --- side by side ------------------------------------------------------------------------------------------------


def test_two_engines_share_nothing(left: Server, right: Server) -> None:
    names = ["ps", "--format", "{{.Names}}"]
    assert left.docker(names).stdout == "web-left\n"
    assert right.docker(names).stdout == "web-right\n"
    assert _fetch(left, "127.0.0.1") == "left"
    assert _fetch(right, "127.0.0.1") == "right"
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", 8080), timeout=2)


def test_names_lead_from_server_to_server(left: Server, right: Server) -> None:
    assert _fetch(left, "right.lab.home.arpa") == "right"
    assert _fetch(right, "wiki.left.lab.home.arpa") == "left"
    assert left.run(["getent", "hosts", "nobody.lab.home.arpa"], check=False).returncode == 2


def test_a_memory_limit_holds(left: Server) -> None:
    greedy = left.docker(["run", "--rm", "-m", "64m", IMAGE, "/bin/busybox", "tail", "/dev/zero"], check=False)
    assert greedy.returncode == 137
    modest = left.docker(["run", "--rm", "-m", "64m", IMAGE, "/bin/busybox", "echo", "fits"])
    assert modest.stdout == "fits\n"


def test_a_port_of_the_machine_leads_in_over_a_power_cut(left: Server) -> None:
    port = left.open_port(0, 8080)
    page = f"http://127.0.0.1:{port}/"
    with urllib.request.urlopen(page, timeout=10) as answer:
        assert answer.read() == b"left\n"
    with pytest.raises(UsageError, match=f"port {port} of this machine is taken"):
        left.open_port(port, 22)
    left.kill()
    left.boot()
    left.start_docker()
    left.docker(["start", "web-left"])
    with urllib.request.urlopen(page, timeout=10) as answer:
        assert answer.read() == b"left\n"


# --- network -----------------------------------------------------------------------------------------------------


def test_a_server_can_be_cut_off_from_the_outside_only(bare_server: Server, left: Server) -> None:
    bare_server.set_online(False)
    try:
        assert bare_server.run(["getent", "hosts", "deb.debian.org"], check=False).returncode == 2
        assert _dials(bare_server, left.address, 22)
    finally:
        bare_server.set_online(True)
    assert bare_server.run(["getent", "hosts", "deb.debian.org"]).returncode == 0


def test_a_link_goes_down_and_up(bare_server: Server, left: Server) -> None:
    bare_server.set_link(up=False)
    assert not _dials(left, bare_server.address, 22)
    bare_server.set_link(up=True)
    assert _dials(left, bare_server.address, 22)


def test_packets_are_lost_when_asked(bare_server: Server, left: Server) -> None:
    try:
        bare_server.disturb(loss_percent=100)
    except PrerequisiteError as error:
        pytest.skip(f"{error.cause}: {error.evidence}")
    assert not _dials(left, bare_server.address, 22)
    bare_server.disturb()
    assert _dials(left, bare_server.address, 22)


# --- in and out --------------------------------------------------------------------------------------------------


def test_ssh_pins_the_host_key(bare_server: Server, left: Server, fleet: Fleet, tmp_path: Path) -> None:
    argument = 'it\'s $HOME; a "word"'
    assert bare_server.ssh(["printf", "%s", argument]).stdout == argument
    lines = (fleet.folder / "known_hosts").read_text(encoding="ascii").splitlines()
    others_key = next(line.split(" ", 1)[1] for line in lines if line.startswith("left,"))
    wrong = tmp_path / "known_hosts"
    wrong.write_text(f"{bare_server.address} {others_key}\n", encoding="ascii")
    with pytest.raises(CommandError) as refused:
        bare_server.ssh(["true"], known_hosts=wrong)
    assert "Host key verification failed" in refused.value.evidence


def test_a_command_that_takes_too_long_is_ended(bare_server: Server) -> None:
    with pytest.raises(CommandError, match="took longer than"):
        bare_server.run(["sleep", "4321"], timeout=0.2)
    assert "4321" not in bare_server.run(["ps", "-e", "-o", "args"]).stdout


def test_a_folder_is_copied_in(bare_server: Server, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "run me").write_text("#!/bin/sh\necho hello\n", encoding="utf-8")
    (tmp_path / "a" / "b" / "run me").chmod(0o755)
    (tmp_path / "a" / "left out").touch()
    bare_server.push(tmp_path, "/srv/pushed", exclude=["left out"])
    assert bare_server.run(["/srv/pushed/a/b/run me"]).stdout == "hello\n"
    assert bare_server.run(["ls", "/srv/pushed/a"]).stdout == "b\n"
    with pytest.raises(CommandError, match="could not be read"):
        bare_server.read("/srv/pushed/a/left out")


# --- ends --------------------------------------------------------------------------------------------------------


def test_the_disk_outlives_a_power_cut(new_server: NewServer) -> None:
    server = new_server()
    server.write("/etc/kept", "here\n")
    server.write("/run/gone", "not after a start\n")
    server.run(["setsid", "--fork", "sh", "-c", "exec sleep 9876 </dev/null >/dev/null 2>&1"])
    server.kill()
    assert not server.running
    with pytest.raises(CommandError, match="is off"):
        server.run(["true"])
    server.boot()
    assert server.read("/etc/kept") == b"here\n"
    assert server.run(["test", "-e", "/run/gone"], check=False).returncode == 1
    assert "9876" not in server.run(["ps", "-e", "-o", "args"]).stdout
    assert server.ssh(["hostname"]).stdout == f"{server.name}\n"


def test_nothing_is_left_of_a_fleet_whose_owner_was_killed(tmp_path: Path) -> None:
    before = _what_the_host_has()
    arguments = [str(tmp_path / "orphan"), ",".join(ENGINE), _MAKE_IMAGE]
    with subprocess.Popen([sys.executable, "-c", _OWNER, *arguments], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        owner.send_signal(signal.SIGKILL)
    orphan = Fleet.load(tmp_path / "orphan")
    processes = {pid: start_time(pid) for pid in orphan.groups.pids()}
    assert len(processes) > 10
    assert orphan.servers["core"].running
    spaces = _namespaces(processes) - _namespaces([os.getpid()])
    assert len(spaces) > 10

    with Fleet.up(names=(), folder=tmp_path / "next"):
        assert not orphan.folder.exists()
    assert list(tmp_path.iterdir()) == []
    assert not orphan.groups.exist()
    assert [pid for pid, start in processes.items() if start is not None and start_time(pid) == start] == []
    running = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    assert wait_until(lambda: not _namespaces(running) & spaces, 5)
    assert _what_the_host_has() == before


def test_a_live_owners_fleet_is_left_alone(fleet: Fleet, bare_server: Server) -> None:
    assert fleet.state.name not in Fleet.clean_up_stale()
    assert bare_server.running


def _namespaces(pids: dict[int, int | None] | list[int]) -> set[str]:
    found = set()
    for pid in pids:
        for space in ("cgroup", "ipc", "mnt", "net", "pid", "uts"):
            with suppress(OSError):
                found.add(str(Path(f"/proc/{pid}/ns/{space}").readlink()))
    return found
