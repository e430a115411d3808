"""A world for the waker: a real Traefik, the waker as a process, apps as processes behind a fake Docker API."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from fake_docker import FakeDocker

from ez_homelab.runtime import waker as package
from ez_homelab.runtime.waker import admin
from ez_homelab.testing.front.programs import Program, free_port, listens
from ez_homelab.testing.front.traefik import executable

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 30.0
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Dest": "document"}


class World:
    """Everything of one test module, in one folder."""

    def __init__(self, folder: Path, *, subfolder: bool = False, filtered: bool = False) -> None:
        """`subfolder`: the route files lie below the folder that Traefik watches, with a file in it to be touched.
        `filtered`: the waker asks Docker through what stands before it."""
        self.folder = folder
        self.routes = folder / "dynamic" / ("on-demand" if subfolder else "")
        self.nudge = folder / "dynamic" / "on-demand.yml" if subfolder else None
        self.docker = FakeDocker()
        self.web, self.api, self.port = free_port(), free_port(), free_port()
        for name in ("dynamic", "config", "data", "run"):
            (folder / name).mkdir()
        self.routes.mkdir(exist_ok=True)
        if self.nudge is not None:
            self.nudge.write_text("# Touched when a route of an app that sleeps has changed.\n")
        self.apps: list[dict[str, Any]] = []
        self.traefik = self._traefik()
        self.waker: Program | None = None
        self.filtered = filtered
        self.control: Program | None = None
        self.control_port = 0

    def _install(self) -> dict[str, Any]:
        return {
            "entryPoints": {
                "web": {"address": f"127.0.0.1:{self.web}"},
                "traefik": {"address": f"127.0.0.1:{self.api}"},
            },
            "providers": {
                "providersThrottleDuration": "100ms",
                "file": {"directory": str(self.folder / "dynamic"), "watch": True},
            },
            "api": {"insecure": True, "dashboard": False},
            "metrics": {"prometheus": {"entryPoint": "traefik", "addServicesLabels": True}},
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        }

    def _traefik(self) -> Program:
        (self.folder / "traefik.yml").write_text(yaml.safe_dump(self._install()))
        argv = [executable(), f"--configFile={self.folder / 'traefik.yml'}"]
        program = Program("Traefik", argv, self.folder / "traefik.log")
        program.wait_until(lambda: listens(self.api) and listens(self.web))
        return program

    def restart_traefik(self) -> None:
        self.traefik.stop()
        self.traefik = self._traefik()

    def add(self, name: str, delay: str = "0", extra: tuple[str, ...] = (), **more: Any) -> None:
        """An app whose containers are `extra`, which count once they run, and one of its own name."""
        port = free_port()
        for container in extra:
            self.docker.add(container, free_port())
        self.docker.add(name, port, delay)
        url = f"http://127.0.0.1:{port}"
        self.apps.append(
            {
                "name": name,
                "title": name.capitalize(),
                "routes": [{"name": name, "rule": f"Host(`{name}.lab`)", "url": url}],
                "containers": [
                    *({"name": container} for container in extra),
                    {"name": name, "ready": {"kind": "http", "url": f"{url}/health"}},
                ],
                "idle": 3600,
                "timeout": 20,
                "memory": 100,
                **more,
            }
        )

    def spare(self) -> int:
        """A port for a container that is no app."""
        return free_port()

    def write(self) -> None:
        document = {
            "version": 1,
            "title": "Home lab",
            "monitors": ["^Uptime-Kuma/"],
            "keep_connections": 0.3,
            "second_look": 0.1,
            "apps": self.apps,
        }
        beside = self.folder / "config" / "new"
        beside.write_text(json.dumps(document))
        beside.replace(self.folder / "config" / "lazy.json")

    def start(self) -> None:
        """Start the waker, and wait until Traefik leads every app where it should."""
        self.write()
        places = {"CONFIG": "config", "DATA": "data", "SOCKET": "run/admin.sock", "SPOOL": "data", "METRICS": "run"}
        environment = {f"WAKER_{name}": str(self.folder / path) for name, path in places.items()}
        environment |= {"WAKER_ROUTES": str(self.routes), "WAKER_NUDGE": str(self.nudge or "")}
        environment |= {"WAKER_DOCKER": self.way_to_docker(), "WAKER_TRAEFIK": f"http://127.0.0.1:{self.api}"}
        environment |= {"WAKER_PORT": str(self.port), "PYTHONPATH": str(Path(package.__file__).parent.parent)}
        argv = [sys.executable, "-m", "waker"]
        self.waker = Program("the waker", argv, self.folder / "waker.log", environment)
        self.waker.wait_until(lambda: listens(self.port))
        self.until(lambda: all(app["leads_to"] != "unknown" for app in self.status()["apps"].values()))

    def way_to_docker(self) -> str:
        if not self.filtered:
            return self.docker.address
        socket_path = self.folder / "run/docker.sock"
        if self.control is None:
            port = free_port()
            environment = {"WAKER_CONFIG": str(self.folder / "config"), "WAKER_CONTROL": str(socket_path)}
            environment |= {"WAKER_ENGINE": self.docker.address, "WAKER_PORT": str(port)}
            environment |= {"PYTHONPATH": str(Path(package.__file__).parent.parent)}
            argv = [sys.executable, "-m", "waker.control"]
            self.control = Program("the waker's way to Docker", argv, self.folder / "control.log", environment)
            self.control.wait_until(lambda: listens(port))
            self.control_port = port
        return f"unix://{socket_path}"

    def restart(self) -> None:
        """Kill the waker as a crash does, and start it again."""
        assert self.waker is not None
        self.waker.kill()
        self.start()

    def stop(self) -> None:
        if self.waker is not None:
            self.waker.stop()
        if self.control is not None:
            self.control.stop()
        self.traefik.stop()
        self.docker.close()

    def order(self, method: str, target: str) -> dict[str, Any]:
        return dict(json.loads(asyncio.run(admin.ask(str(self.folder / "run/admin.sock"), method, target))))

    def status(self) -> dict[str, Any]:
        try:
            return self.order("GET", "/status")
        except OSError:
            return {"apps": {"none": {"leads_to": "unknown"}}}

    def app(self, name: str) -> dict[str, Any]:
        return dict(self.status()["apps"][name])

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, (self.folder / "waker.log").read_text()[-3000:]
            time.sleep(0.03)

    def until_app(self, name: str, **wanted: object) -> None:
        self.until(lambda: all(self.app(name)[key] == value for key, value in wanted.items()))

    def health(self) -> int:
        """What the health check of the waker's container sees."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", "/health")
        status = connection.getresponse().status
        connection.close()
        return status

    def open(self, name: str, method: str = "GET", target: str = "/", body: Any = None, **fields: str) -> HTTPResponse:
        """The answer through Traefik, unread."""
        connection = HTTPConnection("127.0.0.1", self.web, timeout=PATIENCE)
        told = {key.replace("_", "-"): value for key, value in fields.items()}
        connection.request(method, target, body=body, headers={"Host": f"{name}.lab", **told})
        return connection.getresponse()

    def ask(self, name: str, method: str = "GET", target: str = "/", body: Any = None, **fields: str) -> Any:
        """Status, fields and content."""
        answer = self.open(name, method, target, body, **fields)
        content = answer.read()
        answer.close()
        return answer.status, answer.headers, content

    def upgrade(self, name: str) -> socket.socket:
        """An upgraded connection through Traefik; its head is read."""
        connection = socket.create_connection(("127.0.0.1", self.web), PATIENCE)
        lines = ("GET /ws HTTP/1.1", f"Host: {name}.lab", "Connection: Upgrade", "Upgrade: echo", "", "")
        connection.sendall("\r\n".join(lines).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = connection.recv(1)
            assert piece, head
            head += piece
        assert head.startswith(b"HTTP/1.1 101"), head
        return connection


def says(connection: socket.socket, data: bytes) -> bytes:
    """What an echo says to these bytes."""
    connection.sendall(data)
    received = b""
    while len(received) < len(data):
        piece = connection.recv(65536)
        assert piece
        received += piece
    return received
