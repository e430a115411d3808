"""One test server: start it, run things in it, put files on it, cut its power."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError, UsageError
from ez_homelab.testing.fleet import base, disk, keys
from ez_homelab.testing.fleet.calls import ENVIRONMENT, Call
from ez_homelab.testing.fleet.network import DOMAIN, in_network_of
from ez_homelab.testing.fleet.processes import joined, record, start_detached, wait_until
from ez_homelab.testing.fleet.programs import last_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ez_homelab.testing.fleet.fleet import Fleet
    from ez_homelab.testing.fleet.state import ServerState

_NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
# Starts what is enabled for runlevel 2, as init does on a Debian without systemd. A server that fails to start one
# service still starts the others.
_START_SERVICES = 'for script in /etc/rc2.d/S*; do "$script" start; done >>/var/log/boot.log 2>&1 </dev/null'
_WRITE = 'mkdir -p "${1%/*}/" && cat >"$1.new" && chmod "$2" "$1.new" && mv "$1.new" "$1"'
_START_ENGINE = "exec setsid --fork dockerd >>/var/log/docker.log 2>&1 </dev/null"


class Server:
    """A Debian machine made of namespaces, with a root file system, a network and control groups of its own."""

    def __init__(self, fleet: Fleet, state: ServerState) -> None:
        self._fleet = fleet
        self._state = state
        self.folder = fleet.folder / "servers" / state.name

    @property
    def name(self) -> str:
        """Its host name."""
        return self._state.name

    @property
    def address(self) -> str:
        """Its IPv4 address in the fleet's network; the machine itself has no route to it (see `open_port`)."""
        return self._state.address

    @property
    def domain(self) -> str:
        """Its name in the fleet's DNS; every name below it has the same address."""
        return f"{self.name}.{DOMAIN}"

    @property
    def running(self) -> bool:
        """Whether its process 1 lives."""
        return self._state.init is not None and self._state.init.alive

    @property
    def ports(self) -> dict[int, int]:
        """The machine's ports (of its 127.0.0.1) that lead into it, and to which of its own."""
        return dict(self._state.ports)

    @property
    def log(self) -> Path:
        """What was said on the machine while it started (its own logs are inside it)."""
        return self.folder / "boot.log"

    # --- power -------------------------------------------------------------------------------------------------

    def create(self) -> None:
        """Lay out its disk: folders, host key, names, who may come in. Not started yet."""
        fleet = self._fleet
        disk.create(self.folder, self._state, fleet=fleet.folder, router=fleet.router.address)

    def boot(self) -> None:
        """Switch it on, with the disk it has; returns when its services, sshd among them, have been started."""
        if self.running:
            return
        groups = self._fleet.groups
        groups.create(self.name)
        mark = self.folder / "booting"
        mark.unlink(missing_ok=True)
        process = start_detached(self._boot_command(), log=self.log, cgroup_files=self._fleet.host_cgroup)
        number = ""

        def booted() -> bool:
            nonlocal number
            number = mark.read_text(encoding="ascii") if mark.exists() else ""
            return number.endswith("\n") or not process.alive

        if not wait_until(booted, 30, pause=0.002) or not number:
            self.kill()
            raise CommandError(f"{self.name} did not start", evidence=last_line(self.log.read_text(encoding="utf-8")))
        self._state.init = record(int(number))
        self._fleet.router.connect(self._state)
        self._fleet.save()
        self.run(["/bin/sh", "-c", _START_SERVICES], check=False, timeout=60)
        for host_port, server_port in self._state.ports.items():
            self._forward(host_port, server_port)

    def kill(self) -> None:
        """Cut its power: everything in it ends at once, nothing is told before. `boot` starts it again.

        What its programs had written but not flushed is kept, since the machine's own kernel goes on: unlike a real
        power cut, this loses nothing that a program handed to the kernel.
        """
        self._fleet.groups.thaw(self.name)
        if self._state.init is not None:
            self._state.init.end()
        for forwarder in self._state.forwarders.values():
            forwarder.end()
        self._state.forwarders.clear()
        self._fleet.groups.kill_all(self.name)
        self._fleet.groups.remove(self.name)
        self._fleet.router.disconnect(self._state)
        base.keep_archives(self.folder / "plain/archives")
        self._state.init = None
        self._fleet.save()

    def remove(self) -> None:
        """Take it away with its disk."""
        self._fleet.remove(self.name)

    # --- inside ------------------------------------------------------------------------------------------------

    def command(self, argv: Sequence[str], *, directory: str | None = None) -> list[str]:
        """The command of the machine that runs `argv` in the server as root, for callers that start it themselves.

        Raises `CommandError` where the server is off.
        """
        if self._state.init is None or not self.running:
            raise CommandError(f"{self.name} is off", fix="boot it first")
        moved = ["env", f"--chdir={directory}", *argv] if directory else list(argv)
        entry = ["nsenter", f"--target={self._state.init.pid}", *_NAMESPACES, "--", *moved]
        return joined(self._fleet.groups.join_files(self.name, leaf=True), entry)

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        input: bytes = b"",  # noqa: A002 - named as subprocess.run names it
        timeout: float = 600,
        env: Mapping[str, str] | None = None,
        directory: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in it as root, in an environment of a fresh login and `env`; `timeout` in seconds.

        Raises `CommandError` where the status is not 0 (unless `check` is off) or the time is over; the program and
        what it started in its process group are ended first.
        """
        call = Call(self.command(argv, directory=directory), argv, self.name, env or {})
        return call.text(input, timeout=timeout, check=check)

    def ssh(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        input: bytes = b"",  # noqa: A002 - named as subprocess.run names it
        timeout: float = 600,
        known_hosts: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in it over real SSH from the router, host key pinned (or found in `known_hosts`)."""
        call = Call(self.ssh_command(argv, known_hosts=known_hosts), argv, self.name)
        return call.text(input, timeout=timeout, check=check)

    def ssh_command(
        self, argv: Sequence[str] = (), *, known_hosts: Path | None = None, terminal: bool = False
    ) -> list[str]:
        """The command of the machine that opens SSH to it; without `argv` a login shell, on a terminal if asked."""
        called = keys.ssh_command(self._fleet.folder, self.address, argv, known_hosts=known_hosts, terminal=terminal)
        return joined(self._fleet.host_cgroup, in_network_of(self._fleet.router.holder.pid, called))

    def docker(
        self, argv: Sequence[str], *, check: bool = True, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run `docker` with these arguments in it."""
        return self.run(["docker", *argv], check=check, timeout=timeout)

    def start_docker(self, say: Callable[[str], None] | None = None) -> None:
        """Install the distribution's Docker engine where there is none, start it, wait until it answers."""
        if self.run(["test", "-x", "/usr/sbin/dockerd"], check=False).returncode != 0:
            if say:
                say(f"{self.name}: installing docker.io")
            quiet = {"DEBIAN_FRONTEND": "noninteractive"}
            self.run(["apt-get", "-q", "update"], env=quiet)
            wanted = base.engine_packages(self._state.suite)
            self.run(["apt-get", "-q", "install", "-y", "--no-install-recommends", *wanted], env=quiet)
        answers = ["docker", "version", "--format", "{{.Server.Version}}"]
        if self.run(["test", "-S", "/run/docker.sock"], check=False).returncode != 0:
            self.run(["/bin/sh", "-c", _START_ENGINE])
        if not wait_until(lambda: self.run(answers, check=False).returncode == 0, 60, pause=0.1):
            raise CommandError(
                f"the Docker engine in {self.name} does not start",
                evidence=last_line(self.run(["cat", "/var/log/docker.log"], check=False).stdout),
            )

    # --- files -------------------------------------------------------------------------------------------------

    def read(self, path: str) -> bytes:
        """The content of a file in it. Raises `CommandError` where there is none."""
        ended = Call(self.command(["cat", "--", path]), ["cat", path], self.name).bytes(timeout=60)
        if ended.returncode != 0:
            evidence = last_line(ended.stderr.decode(errors="replace"))
            raise CommandError(f"{path} could not be read on {self.name}", evidence=evidence)
        return ended.stdout

    def write(self, path: str, content: bytes | str, *, mode: int = 0o644) -> None:
        """Write a file in it, whole, owned by root, making its folders."""
        data = content.encode() if isinstance(content, str) else content
        self.run(["/bin/sh", "-c", _WRITE, "write", path, f"{mode:o}"], input=data)

    def push(self, local: Path | str, remote: str, *, exclude: Sequence[str] = ()) -> None:
        """Copy a file, or a folder's content, to a path in it; modes are kept, all is root's.

        `exclude` are names or patterns as tar(1) takes them. Raises `CommandError` where either end fails.
        """
        source = Path(local)
        if source.is_file():
            self.write(remote, source.read_bytes(), mode=source.stat().st_mode & 0o777)
            return
        self.run(["mkdir", "-p", remote])
        packing = ["tar", "-C", str(source), "-cf", "-", *(f"--exclude={name}" for name in exclude), "."]
        unpacking = self.command(["tar", "-C", remote, "--no-same-owner", "-xpf", "-"])
        with subprocess.Popen(packing, stdout=subprocess.PIPE) as packer:
            ended = subprocess.run(unpacking, stdin=packer.stdout, capture_output=True, env=ENVIRONMENT, check=False)
        if ended.returncode or packer.returncode:
            evidence = last_line(ended.stderr.decode(errors="replace"))
            raise CommandError(f"{source} could not be copied to {self.name}", evidence=evidence)

    # --- network -----------------------------------------------------------------------------------------------

    def open_port(self, host_port: int, server_port: int) -> int:
        """Let 127.0.0.1:`host_port` of the machine lead to 127.0.0.1:`server_port` in it; returns the host's port.

        0 takes any free one. It lasts until the fleet goes, over power cuts too. Raises `UsageError` where the
        machine's port is taken.
        """
        return self._forward(host_port, server_port)

    def set_online(self, online: bool) -> None:
        """Cut its way out of the fleet (names of the outside too), or open it again."""
        if online != self._state.online:
            self._fleet.router.set_online(self._state, online=online)
            self._state.online = online
            self._fleet.save()

    def set_link(self, *, up: bool) -> None:
        """Pull its network cable, or put it in again."""
        self._fleet.router.set_link(self._state, up=up)

    def disturb(self, *, delay_ms: int = 0, loss_percent: float = 0) -> None:
        """Delay and lose packets on their way to it; without arguments: as before. See `Router.disturb`."""
        self._fleet.router.disturb(self._state, delay_ms=delay_ms, loss_percent=loss_percent)

    # --- how ---------------------------------------------------------------------------------------------------

    def _boot_command(self) -> list[str]:
        script = str(Path(__file__).with_name("boot.sh"))
        hierarchies = self._fleet.groups.hierarchies
        mounts = ["v2"] if hierarchies.v2 else [f"{mount.name}:{options}" for mount, options in hierarchies.mounts]
        inner = ["unshare", "--cgroup", "/bin/sh", script, str(self.folder), self._state.base, self.name, *mounts]
        spaces = ["--mount", "--propagation=private", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child"]
        # The control group is joined between the two, so that the server sees its own group as the top of the tree.
        return ["unshare", *spaces, *joined(self._fleet.groups.join_files(self.name, leaf=False), inner)]

    def _forward(self, host_port: int, server_port: int) -> int:
        if self._state.init is None:
            raise CommandError(f"{self.name} is off", fix="boot it first")
        try:
            listening = socket.create_server(("127.0.0.1", host_port))
        except OSError as error:
            raise UsageError(f"port {host_port} of this machine is taken", evidence=str(error)) from error
        with listening:
            port = int(listening.getsockname()[1])
            script = str(Path(__file__).with_name("forward.py"))
            program = [sys.executable, "-I", "-S", script, str(listening.fileno()), str(server_port)]
            self._state.forwarders[port] = start_detached(
                in_network_of(self._state.init.pid, program),
                log=self.folder / "ports.log",
                cgroup_files=self._fleet.host_cgroup,
                pass_fds=(listening.fileno(),),
            )
        self._state.ports[port] = server_port
        self._fleet.save()
        return port
