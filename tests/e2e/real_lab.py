"""A real lab on a server of the fleet, and what the end-to-end tests ask of it: the command, the files, the answers."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ez_homelab.testing.fleet import Server

    Completed = subprocess.CompletedProcess[str]

SOURCES = Path(__file__).parents[2]
CHECKOUT = "/srv/ez-homelab"
LAB = "/root/lab"
DOMAIN = "lab.localhost"
CERTIFICATE = "/root/ca.pem"
STATE = "/var/lib/ez-homelab"
SHIM = "/usr/local/sbin/docker"
"""Before the real one on every PATH: what a test puts there stands between the command and Docker."""

ASK = """
import socket, sys
try:
    peer = socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)
except OSError as error:
    sys.exit(f"closed: {error}")
peer.sendall(f"{sys.argv[3]} HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n".encode())
print(peer.recv(4096).decode("latin-1").splitlines()[0])
"""
"""Asks a host's port one thing, in Python: its arguments are host, port and request; prints the answer's first line."""
_SIGNED_IN: dict[Path, tuple[str, str]] = {}
"""By server's folder: which start of the gate knows this cookie."""


def push_checkout(server: Server) -> None:
    """Copy these sources to the server: what git knows and what it would take, and nothing that it ignores."""
    listed = ["git", "-C", str(SOURCES), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, capture_output=True, check=True).stdout.split(b"\0")
    there = [name for name in names if name and (SOURCES / name.decode()).exists()]
    packed = ["tar", "-C", str(SOURCES), "--null", "--no-recursion", "--files-from=-", "-cf", "-"]
    archive = subprocess.run(packed, input=b"\0".join(there), capture_output=True, check=True).stdout
    server.run(["mkdir", "-p", CHECKOUT])
    server.run(["tar", "-C", CHECKOUT, "--no-same-owner", "-xpf", "-"], input=archive)


def listening(server: Server) -> set[str]:
    """The addresses and ports that something in the server listens on over TCP."""
    return {line.split()[3] for line in server.run(["ss", "-Hltn"]).stdout.splitlines()}


@dataclass(frozen=True)
class RealLab:
    """The lab of the session's server `home`, made by `first_up`, the one `up` from nothing."""

    server: Server
    first_up: Completed
    seconds: float
    listened_before: set[str]

    # --- the command -------------------------------------------------------------------------------------------

    def argv(self, *arguments: str) -> list[str]:
        """The command line for this lab."""
        return [f"{CHECKOUT}/.venv/bin/ez-homelab", *arguments, "--lab", LAB]

    def ez(self, *arguments: str, status: int = 0, input: str = "") -> Completed:  # noqa: A002 - as subprocess has it
        """Run it; the exit status must be `status`."""
        ended = self.server.run(self.argv(*arguments), check=False, input=input.encode())
        assert ended.returncode == status, f"{arguments}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended

    def document(self, *arguments: str, status: int = 0) -> Any:
        """What it prints with `--json`."""
        return json.loads(self.ez(*arguments, "--json", status=status).stdout)

    def planned(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        """The plan's actions by kind and name."""
        actions = self.document("plan")["actions"]
        return {(action["kind"], action["name"]): action for action in actions}

    def restore(self) -> None:
        """Bring everything back to what the lab file says, what a person stopped as well."""
        self.server.run(["rm", "-f", SHIM])
        if self.server.docker(["version"], check=False).returncode != 0:
            self.ez("up", "--yes")  # a test that failed may have left the engine dead
        self.ez("apply", "--yes", "--start-held")

    # --- the lab folder ----------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """The lab file."""
        return self.server.read(f"{LAB}/homelab.yaml").decode()

    def write(self, text: str) -> None:
        """Change the lab file."""
        self.server.write(f"{LAB}/homelab.yaml", text)

    @contextmanager
    def shim(self, script: str) -> Iterator[None]:
        """Let this shell script stand in for `docker`; the real one is /usr/bin/docker."""
        self.server.write(SHIM, f"#!/bin/bash\n{script}", mode=0o755)
        try:
            yield
        finally:
            self.server.run(["rm", "-f", SHIM])

    # --- what is there -----------------------------------------------------------------------------------------

    def containers(self, *, everything: bool = True) -> dict[str, tuple[str, str]]:
        """Every container's id and when it was started, by name."""
        ids = self.server.docker(["ps", "-q", *(["-a"] if everything else [])]).stdout.split()
        if not ids:
            return {}
        wanted = ["inspect", "--format", "{{.Name}} {{.Id}} {{.State.StartedAt}}", *ids]
        rows = (line.split() for line in self.server.docker(wanted).stdout.splitlines())
        return {name.removeprefix("/"): (identifier, started) for name, identifier, started in rows}

    def networks(self) -> dict[str, str]:
        """Every network's id by name."""
        listed = self.server.docker(["network", "ls", "--no-trunc", "--format", "{{.Name}} {{.ID}}"]).stdout
        return dict(line.split() for line in listed.splitlines())

    def volumes(self) -> set[str]:
        """The volumes."""
        return set(self.server.docker(["volume", "ls", "-q"]).stdout.split())

    def images(self) -> set[str]:
        """The images with their names and ids."""
        return set(
            self.server.docker(["image", "ls", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]).stdout.splitlines()
        )

    def files(self) -> dict[str, str]:
        """The hash of every file that the command keeps, but for the journal, the generations and the locks."""
        left_out = (f"{STATE}/journal.db*", f"{STATE}/objects/*", f"{STATE}/*lock", f"{STATE}/copies/locks/*")
        others = [word for pattern in left_out for word in ("!", "-path", pattern)]
        find = ["find", "/opt/stacks", STATE, LAB, "-type", "f", *others]
        hashed = self.server.run([*find, "-exec", "sha256sum", "{}", "+"], check=False).stdout
        return {path: digest for digest, path in (line.split("  ", 1) for line in hashed.splitlines())}

    def everything(self) -> tuple[object, ...]:
        """All of it, for comparing before with after."""
        return self.containers(), self.networks(), self.volumes(), self.images(), self.files()

    def running(self, name: str) -> bool:
        """Whether that container runs."""
        return name in self.containers(everything=False)

    # --- from outside ------------------------------------------------------------------------------------------

    @property
    def cookie(self) -> str:
        """The cookie of an admin who has shown two factors; empty where there is no gate to sign in at.

        Whoever it stands for is forgotten when the gate starts anew, and is somebody new then.
        """
        asked = ["inspect", "--format", "{{.Id}} {{.State.StartedAt}}", "gate"]
        gate = self.server.docker(asked, check=False).stdout.strip()
        if gate and _SIGNED_IN.get(self.server.folder, ("", ""))[0] != gate:
            _SIGNED_IN[self.server.folder] = (gate, self._sign_in())
        return _SIGNED_IN[self.server.folder][1] if gate else ""

    def _sign_in(self) -> str:
        wanted = json.dumps({"do": "identity", "groups": ["admins"], "factors": 2, "minutes": 600})
        call = ["docker", "exec", "-i", "gate", "python3", "-m", "gate.admin"]
        return f"ez_session={json.loads(self.server.run(call, input=wanted.encode()).stdout)['token']}"

    def curl(self, url: str, *options: str, status: int = 0, signed_in: bool = True) -> Completed:
        """curl in the server, trusting the lab's authority; it answers `.localhost` names itself (RFC 6761)."""
        known = ["-H", f"Cookie: {self.cookie}"] if signed_in else []
        call = ["curl", "-sS", "--max-time", "30", "--cacert", CERTIFICATE, *known, *options, url]
        ended = self.server.run(call, check=False)
        assert ended.returncode == status, f"{url}: {ended.returncode} {ended.stderr}"
        return ended

    def page(self, name: str, path: str = "/", *options: str) -> str:
        """The page at that path of that app, for somebody who is signed in."""
        return self.curl(f"https://{name}.{DOMAIN}{path}", "--fail", *options).stdout

    def status_of(self, url: str, *options: str, signed_in: bool = True) -> str:
        """The answer's status and where it leads."""
        told = ("-o", "/dev/null", "-w", "%{http_code} %{redirect_url}")
        return self.curl(url, *told, *options, signed_in=signed_in).stdout.strip()


def up_from_nothing(server: Server) -> RealLab:
    """Run the one command on a bare server, and fetch the lab's certificate as a person would."""
    push_checkout(server)
    before = listening(server)
    started = time.monotonic()
    first = server.run([f"{CHECKOUT}/ez-homelab.sh", "up", "--yes", "--lab", LAB], check=False, timeout=1800)
    lab = RealLab(server, first, time.monotonic() - started, before)
    assert first.returncode == 0, f"{first.stdout}\n{first.stderr}"
    server.write(CERTIFICATE, lab.ez("trust", "--print").stdout)
    return lab


def wait_for(what: str, holds: Any, *, seconds: float = 30.0) -> None:
    """Wait until it holds; fails with `what` when the time is over."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


def asked_from(lab: RealLab, container: str, host: str, port: int, request: str = "GET /") -> str:
    """The first line of the answer that a container gets, or why there is none."""
    call = ["exec", container, "python3", "-c", ASK, host, str(port), request]
    ended = lab.server.docker(call, check=False)
    return (ended.stdout or ended.stderr).strip()
