"""A lab in which apps sleep, on a server of the fleet, with either engine: real Docker, real Traefik.

What runs is what the product renders for `on_demand/lab.yaml`: containers, networks, files. Changed is only what a run
without registry and without sign-on must change: every image is made of the server's own files, and to Traefik
everybody is signed in.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ez_homelab.catalog.loader import Catalog
from ez_homelab.config.load import lab_from_text
from ez_homelab.prerequisites.compose_binary import fetch
from ez_homelab.prerequisites.compose_release import PLUGIN_PATH, RELEASES
from ez_homelab.runtime import waker as waker_package
from ez_homelab.testing.fleet import engine_packages
from ez_homelab.testing.front.traefik import executable
from ez_homelab.testing.make_lab import desired_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ez_homelab.config.model import OnDemandEngine
    from ez_homelab.testing.fleet import Server

HERE = Path(__file__).parent / "on_demand"
APP = Path(__file__).parents[1] / "on_demand/lazy_app.py"
SABLIER = "EZ_TEST_SABLIER"
"""Names the executable of a Sablier, where one is to be tried."""

CANNOT: Mapping[OnDemandEngine, Mapping[str, str]] = {
    "builtin": {},
    "sablier": yaml.safe_load((HERE / "cannot.yaml").read_text()),
}
PACKAGES = ("haproxy", "python3", "wget", *engine_packages("bookworm"))
DOMAIN = "lab.localhost"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Dest": "document"}
PATIENCE = 90.0
SHORT_PATIENCE = 20.0

_BASE = """set -e
tar -C / --one-file-system --exclude=usr/sbin/dockerd --exclude='usr/bin/docker*' --exclude='usr/bin/containerd*' \
  --exclude=usr/local/lib/docker -c bin lib lib64 sbin usr etc tmp | docker import - world/base
"""
_IMAGES = {
    "haproxy": 'CMD ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]\nSTOPSIGNAL SIGUSR1',
    "traefik": 'CMD ["traefik"]',
    "waker": 'ENV PYTHONPATH=/usr/local/app PYTHONUNBUFFERED=1\nWORKDIR /tmp\nCMD ["python3", "-m", "waker"]',
    "sablier": 'RUN ln -s /usr/local/bin/sablier /usr/bin/sablier\nENTRYPOINT ["/bin/sablier"]\nCMD ["start"]',
    "napper": 'ENTRYPOINT ["tini", "--", "sh", "-c", "exec python3 -S /usr/local/app.py 8080 ${DELAY:-0} 0.0.0.0"]',
}
"""What each image is beside the server's own files; by the word that the catalog's reference to it has."""

_OWNED = 'chown "$2" "$(docker volume inspect --format "{{.Mountpoint}}" "$1")"'


@dataclass(frozen=True)
class Answer:
    """What somebody got. `fields` by their names in lower case."""

    status: int
    fields: Mapping[str, str]
    content: bytes

    @cached_property
    def told(self) -> Any:
        """What the app says it was asked."""
        return json.loads(self.content)

    @property
    def is_the_apps(self) -> bool:
        """Whether the app itself gave it."""
        return self.fields.get("x-app") == "yes"

    @property
    def whose(self) -> str:
        """The app that gave it; "" where none did."""
        return str(self.told["app"]) if self.is_the_apps else ""


class LazyLab:
    """The lab, as it runs with one engine."""

    def __init__(self, server: Server, engine: OnDemandEngine, text: str = "") -> None:
        """Start it, all that may sleep asleep: its containers are there and were never started.

        `text`: another lab file than `on_demand/lab.yaml`, whose apps are all in a stack named `naps` too.
        """
        self.server = server
        self.engine = engine
        self._port = server.open_port(0, 443)
        now = datetime.now(UTC)
        hours = f"{now - timedelta(hours=1):%H}:00-{now + timedelta(hours=3):%H}:00"
        text = (text or (HERE / "lab.yaml").read_text()).replace("ENGINE", engine).replace("HOURS", hours)
        catalog = Catalog.shipped().with_folder(HERE / "catalog")
        [self._desired] = desired_of(lab_from_text(text, catalog.ids()), catalog=catalog).servers.values()
        self._lay_out()
        # Another file for each lab: whoever listened for the one before goes on until Docker ends.
        self._starts = f"/root/starts-{time.time_ns()}"
        self.server.run(["sh", "-c", _LISTEN, "listen", self._starts])
        self.compose("naps", "up", "--no-start")
        self.compose("core", "up", "--detach", "--wait")

    @property
    def name(self) -> str:
        """The engine's container."""
        return "waker" if self.engine == "builtin" else self.engine

    def cannot(self, what: str) -> bool:
        """Whether the engine cannot do this; the name stands in `on_demand/cannot.yaml`, which says why."""
        assert what in {name for known in CANNOT.values() for name in known}
        return what in CANNOT[self.engine]

    # --- what is there -----------------------------------------------------------------------------------------

    def compose(self, stack: str, *arguments: str) -> None:
        """Run Docker Compose on a stack."""
        self.server.docker(["compose", "--project-directory", f"/opt/stacks/{stack}", *arguments], timeout=180)

    def runs(self, name: str) -> bool:
        """Whether the container runs."""
        shown = self.server.docker(["inspect", "--format", "{{.State.Running}}", name], check=False)
        return shown.stdout.strip() == "true"

    def starts(self, name: str) -> int:
        """How often the container was started so far, up to a restart of Docker."""
        return self.server.read(self._starts).decode().split().count(name)

    def restart_docker(self) -> None:
        """End the engine in good order and start it again."""
        self.server.run(["sh", "-c", "kill $(pidof dockerd) && while pidof dockerd >/dev/null; do sleep 0.1; done"])
        self.server.start_docker()

    def kill(self, name: str) -> None:
        """End the container's program as a crash does."""
        process = self.server.docker(["inspect", "--format", "{{.State.Pid}}", name]).stdout.strip()
        self.server.run(["kill", "-KILL", process])

    def until(self, what: str, holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait until it holds; fails with what the engine said last where it does not."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                said = self.server.docker(["logs", "--tail", "40", self.name], check=False)
                raise AssertionError(f"not within {seconds:.0f} s: {what}\n{said.stdout}{said.stderr}")
            time.sleep(0.1)

    def until_asleep(self, name: str, seconds: float = PATIENCE) -> None:
        """Wait until it sleeps."""
        self.until(f"{name} sleeps", lambda: not self.runs(name), seconds)

    def until_there(self, name: str) -> None:
        """Wait until the app answers."""
        self.until(f"{name} answers", lambda: self.answers(name))

    def answers(self, name: str) -> bool:
        """Whether the app itself answers now."""
        try:
            # While Traefik restarts, a connection may be taken and never answered.
            return self.ask(name, seconds=SHORT_PATIENCE).is_the_apps
        except (OSError, HTTPException):
            return False

    # --- who asks ----------------------------------------------------------------------------------------------

    def dial(self, name: str, seconds: float = PATIENCE) -> socket.socket:
        """A connection to Traefik for that name, which waits so long for each answer."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", self._port), seconds)
        return context.wrap_socket(plain, server_hostname=f"{name}.{DOMAIN}")

    def open(
        self,
        name: str,
        method: str = "GET",
        target: str = "/",
        body: Any = None,
        seconds: float = PATIENCE,
        **fields: str,
    ) -> HTTPResponse:
        """The answer, unread."""
        connection = HTTPConnection(f"{name}.{DOMAIN}")
        connection.sock = self.dial(name, seconds)
        connection.request(method, target, body, {key.replace("_", "-"): value for key, value in fields.items()})
        return connection.getresponse()

    def ask(
        self,
        name: str,
        method: str = "GET",
        target: str = "/",
        body: Any = None,
        seconds: float = PATIENCE,
        **fields: str,
    ) -> Answer:
        """The whole answer; a program's, unless `BROWSER` is among the fields."""
        answer = self.open(name, method, target, body, seconds, **fields)
        with answer:
            named = {key.lower(): value for key, value in answer.getheaders()}
            return Answer(answer.status, named, answer.read())

    def upgrade(self, name: str) -> socket.socket:
        """An upgraded connection whose other end echoes; its head is read."""
        connection = self.dial(name)
        lines = ("GET /ws HTTP/1.1", f"Host: {name}.{DOMAIN}", "Connection: Upgrade", "Upgrade: echo", "", "")
        connection.sendall("\r\n".join(lines).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = connection.recv(1)
            assert piece, head
            head += piece
        assert head.startswith(b"HTTP/1.1 101"), head
        return connection

    # --- how ---------------------------------------------------------------------------------------------------

    def remove(self) -> None:
        """Take everything away but the images."""
        for stack in ("core", "naps"):
            self.compose(stack, "down", "--timeout", "2")
        for kind in ("volume", "network"):
            names = self.server.docker([kind, "ls", "--quiet", "--filter", f"label={_MARK}"]).stdout.split()
            self.server.docker([kind, "rm", *names])
        self.server.run(["rm", "-rf", "/opt/stacks"])

    def _lay_out(self) -> None:
        for number, network in enumerate(self._desired.networks):
            internal = ["--internal"] if network.internal else []
            subnet = ["--subnet", f"10.77.{number}.0/24"]
            self.server.docker(["network", "create", "--label", _MARK, *internal, *subnet, network.name])
        for volume in self._desired.volumes:
            self.server.docker(["volume", "create", "--label", _MARK, volume.name])
            if volume.owner:
                self.server.run(["sh", "-c", _OWNED, "owned", volume.name, volume.owner])
        for file in self._desired.files:
            self.server.write(file.path, self._changed(file.path, file.content), mode=file.mode)
            self.server.run(["chown", f"{file.uid}:{file.gid}", file.path])

    def _changed(self, path: str, content: bytes) -> bytes:
        if path.endswith("/middlewares.yml"):
            return _signed_in(content)
        if not path.endswith("/compose.yaml"):
            return content
        project = yaml.safe_load(content)
        project["services"].pop("gate", None)
        for name, service in project["services"].items():
            service["image"] = f"world/{_image(service['image'])}"
            service.get("depends_on", {}).pop("gate", None)
            if service["image"] == "world/napper":
                service.setdefault("environment", {})["APP"] = name
            if name == "sablier":
                # For apps that no request has started; the product's half an hour is too long for a test.
                service["environment"]["SABLIER_SESSIONS_DEFAULT_DURATION"] = "4s"
        return yaml.safe_dump(project, sort_keys=False).encode()


def _signed_in(middlewares: bytes) -> bytes:
    """Whoever comes is somebody, as sign-on would say it, and at the same place: after forged names were taken off."""
    document = yaml.safe_load(middlewares)
    told = {"headers": {"customRequestHeaders": {"Remote-User": "anna"}}}
    document["http"]["middlewares"]["sign-on"] = told
    return yaml.safe_dump(document, sort_keys=False).encode()


_MARK = "lazy-lab"
# Docker itself remembers 256 events, most of which are health checks.
_LISTEN = """
exec setsid --fork docker events --filter event=start --format '{{.Actor.Attributes.name}}' >"$1" 2>&1 </dev/null
"""


def make_images(server: Server) -> None:
    """Start Docker in the server, and make every image that the lab needs of its files."""
    server.start_docker()
    server.write(PLUGIN_PATH, asyncio.run(fetch(RELEASES["amd64"])), mode=0o755)
    server.push(executable(), "/usr/local/bin/traefik")
    if program := os.environ.get(SABLIER):
        server.push(program, "/usr/local/bin/sablier")
    server.push(Path(waker_package.__file__).parent, "/usr/local/app/waker", exclude=["__pycache__"])
    server.push(APP, "/usr/local/app.py")
    server.run(["sh", "-c", _BASE])
    for name, lines in _IMAGES.items():
        if name != "sablier" or program:
            text = f"FROM world/base\n{lines}\n"
            server.run(["docker", "build", "--tag", f"world/{name}", "-"], input=text.encode())


def _image(reference: str) -> str:
    found: Iterable[str] = (name for name in _IMAGES if f"{name}:" in reference)
    return next(iter(found))
