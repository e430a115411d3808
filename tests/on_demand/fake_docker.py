"""The few requests of Docker's API that the waker makes, on a port of 127.0.0.1; its containers are real processes."""

from __future__ import annotations

import hashlib
import json
import queue
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

APP = Path(__file__).with_name("lazy_app.py")
LOGS_ALLOWED = True


@dataclass
class Process:
    """A container: the port its program gets and how long that takes to listen."""

    name: str
    port: int
    delay: str = "0"
    starts: int = 0
    exit_code: int = 0
    status: str = "exited"
    error: str = ""
    started: str = "0001-01-01T00:00:00Z"
    cannot_start: str = ""
    process: subprocess.Popen[bytes] | None = None
    output: bytes = b""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def identity(self) -> str:
        """Its id, as long as Docker's."""
        return hashlib.sha256(self.name.encode()).hexdigest()


class FakeDocker:
    """The server and its containers."""

    def __init__(self) -> None:
        self.containers: dict[str, Process] = {}
        self.listeners: list[queue.Queue[dict[str, Any] | None]] = []
        self.requests: list[str] = []
        fake = self

        class Handler(_Handler):
            docker = fake

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"tcp://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def add(self, name: str, port: int, delay: str = "0") -> Process:
        self.containers[name] = Process(name, port, delay)
        return self.containers[name]

    def start(self, name: str) -> bool:
        """Whether it was not running before."""
        container = self.containers[name]
        with container.lock:
            if container.status == "running":
                return False
            container.starts += 1
            container.status, container.error = "running", ""
            container.started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            container.process = subprocess.Popen(
                [sys.executable, "-S", str(APP), str(container.port), container.delay],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            threading.Thread(target=self._follow, args=(container, container.process), daemon=True).start()
        self.tell(name, "start")
        return True

    def stop(self, name: str) -> bool:
        container = self.containers[name]
        with container.lock:
            if container.status != "running" or container.process is None:
                return False
            process = container.process
        process.terminate()
        process.wait()
        while container.status == "running":
            time.sleep(0.005)
        return True

    def meant(self, reference: str) -> str:
        """The name of what Docker takes a reference for: a whole id, else a name, else how an id begins."""
        by_id = [one.name for one in self.containers.values() if one.identity.startswith(reference)]
        whole = len(reference) == 64
        return reference if not by_id or (reference in self.containers and not whole) else by_id[0]

    def running(self, name: str) -> bool:
        return self.containers[name].status == "running"

    def tell(self, name: str, action: str) -> None:
        for listener in tuple(self.listeners):
            listener.put({"Action": action, "Actor": {"Attributes": {"name": name}}})

    def end_events(self) -> None:
        """What a restart of Docker does to who listens."""
        for listener in tuple(self.listeners):
            listener.put(None)

    def close(self) -> None:
        self.end_events()
        for name in self.containers:
            self.stop(name)
        self.server.shutdown()
        self.server.server_close()

    def _follow(self, container: Process, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        container.output = process.stdout.read()
        process.stdout.close()
        container.exit_code = process.wait()
        container.status = "exited"
        self.tell(container.name, "die")


class _Handler(BaseHTTPRequestHandler):
    docker: FakeDocker
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002 - the parent's
        self.docker.requests.append(f"{self.command} {self.path}")

    def do_GET(self) -> None:
        path = re.sub(r"^/v1\.\d+", "", self.path).partition("?")[0]
        name = self.docker.meant(path.split("/")[2]) if path.count("/") > 2 else ""
        if path == "/_ping":
            self._answer(200, b"OK", "text/plain")
        elif path == "/containers/json":
            found = [
                {"Id": one.identity, "Names": [f"/{one.name}"], "State": one.status, "Labels": {"secret": "secret"}}
                for one in self.docker.containers.values()
            ]
            self._json(200, found)
        elif path == "/events":
            self._events()
        elif name not in self.docker.containers:
            self._json(404, {"message": f"No such container: {name}"})
        elif path.endswith("/json"):
            one = self.docker.containers[name]
            state = {"Status": one.status, "ExitCode": one.exit_code, "Error": one.error, "StartedAt": one.started}
            config = {"Tty": False, "Env": ["PASSWORD=secret"]}
            self._json(200, {"Id": one.identity, "State": state, "Config": config, "Mounts": [{"Source": "/secret"}]})
        elif LOGS_ALLOWED:
            lines = self.docker.containers[name].output.splitlines(keepends=True)
            framed = b"".join(b"\x01\0\0\0" + len(line).to_bytes(4, "big") + line for line in lines)
            self._answer(200, framed, "application/octet-stream")

    def do_POST(self) -> None:
        _, _, reference, what = re.sub(r"^/v1\.\d+", "", self.path).partition("?")[0].split("/")
        name = self.docker.meant(reference)
        if name not in self.docker.containers:
            self._json(404, {"message": f"No such container: {name}"})
            return
        one = self.docker.containers[name]
        if what in ("start", "restart") and one.cannot_start:
            self.docker.stop(name)
            one.error, one.exit_code = one.cannot_start, 128
            self._json(409, {"message": one.error})
            return
        done = self.docker.stop(name) if what in ("stop", "restart") else False
        done = self.docker.start(name) if what in ("start", "restart") else done
        self._answer(204 if done else 304, b"", "text/plain")

    def _events(self) -> None:
        listener: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.docker.listeners.append(listener)
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.flush()
        try:
            while (event := listener.get()) is not None:
                self.wfile.write(json.dumps(event).encode() + b"\n")
                self.wfile.flush()
        except OSError:
            pass
        finally:
            self.docker.listeners.remove(listener)
            self.close_connection = True

    def _json(self, status: int, document: object) -> None:
        self._answer(status, json.dumps(document).encode(), "application/json")

    def _answer(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Api-Version", "1.41")
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if status not in (204, 304):
            self.wfile.write(content)
