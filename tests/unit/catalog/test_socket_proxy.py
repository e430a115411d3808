"""The socket proxies' lists, asked through a real HAProxy in front of an engine that only writes down what it hears."""

from __future__ import annotations

import shutil
import socket
import socketserver
import subprocess
import threading
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from ez_homelab.catalog.loader import Catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

APPS = {"docker-socket-proxy": "socket_proxy_requests.yaml", "docker-control-proxy": "control_proxy_requests.yaml"}
CASES = {app: yaml.safe_load((Path(__file__).parent / name).read_text()) for app, name in APPS.items()}

pytestmark = pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed here")


class Engine(socketserver.ThreadingUnixStreamServer):
    """Answers everything with 200 and keeps the request lines. Events come one by one and never end by themselves."""

    daemon_threads = True

    def __init__(self, path: str) -> None:
        super().__init__(path, _Answer)
        self.heard: list[str] = []
        self.next_event = threading.Event()


class _Answer(BaseHTTPRequestHandler):
    server: Engine
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "proxy"

    def log_message(self, *_: object) -> None:
        """Nothing: the test asks `heard`."""

    def _answer(self) -> None:
        self.server.heard.append(f"{self.command} {self.path}")
        self.send_response(200)
        if "/events" not in self.path:
            self.send_header("Content-Length", "2")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(b"OK")
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._event(b"first")
        self.server.next_event.wait(10)
        self._event(b"second")
        self._event(b"")

    def _event(self, text: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        self.wfile.flush()

    def __getattr__(self, name: str) -> object:
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)


class Proxy:
    """A running HAProxy with the app's own file, its socket and port replaced."""

    def __init__(self, engine: Engine, port: int) -> None:
        self.engine = engine
        self._port = port

    @contextmanager
    def sent(self, request: str, *headers: str) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self._port), timeout=10) as connection:
            lines = (f"{request} HTTP/1.1", "Host: docker", *headers, "", "")
            connection.sendall("\r\n".join(lines).encode())
            yield connection

    def status(self, request: str, *headers: str) -> int:
        with self.sent(request, *headers) as connection:
            return int(connection.recv(4096).split()[1])


@contextmanager
def running(app: str, folder: Path) -> Iterator[Proxy]:
    engine = Engine(str(folder / "docker.sock"))
    threading.Thread(target=engine.serve_forever, daemon=True).start()
    text = Catalog.shipped().app(app).files["haproxy.cfg"].decode()
    assert "bind :2375" in text
    assert "unix@/var/run/docker.sock" in text
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # HAProxy takes over a socket that listens already, so nobody can take the port in between.
        text = text.replace("bind :2375", f"bind fd@{listener.fileno()}")
        configuration = folder / "haproxy.cfg"
        configuration.write_text(text.replace("/var/run/docker.sock", str(folder / "docker.sock")))
        command = ["haproxy", "-W", "-db", "-f", str(configuration)]
        process = subprocess.Popen(
            command, pass_fds=[listener.fileno()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield Proxy(engine, listener.getsockname()[1])
        finally:
            process.terminate()
            process.wait(10)
            engine.shutdown()


@pytest.fixture(scope="module")
def proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Proxy]]:
    with ExitStack() as all_of_them:
        yield {app: all_of_them.enter_context(running(app, tmp_path_factory.mktemp("proxy"))) for app in APPS}


@pytest.fixture
def proxy(request: pytest.FixtureRequest, proxies: Mapping[str, Proxy]) -> Proxy:
    return proxies[request.param]


def each(kind: str) -> pytest.MarkDecorator:
    """Every case of that kind, of each of the proxies."""
    cases = [(app, case) for app, kinds in CASES.items() for case in kinds[kind] if "/events" not in case]
    return pytest.mark.parametrize(("proxy", "asked"), cases, indirect=["proxy"], ids=str)


@each("passed")
def test_what_it_is_there_for_reaches_the_engine(proxy: Proxy, asked: str) -> None:
    proxy.engine.heard.clear()
    assert proxy.status(asked) == 200
    assert proxy.engine.heard == [asked]


@each("refused")
def test_everything_else_is_refused_before_the_engine_hears_of_it(proxy: Proxy, asked: str) -> None:
    proxy.engine.heard.clear()
    assert proxy.status(asked) in (400, 403)
    assert proxy.engine.heard == []


@each("refused_with_headers")
def test_a_request_that_carries_more_than_a_question_is_refused(proxy: Proxy, asked: list[str]) -> None:
    proxy.engine.heard.clear()
    assert proxy.status("GET /v1.41/version", *asked) == 400
    assert proxy.engine.heard == []


@pytest.mark.parametrize("proxy", APPS, indirect=True)
def test_events_arrive_one_by_one_while_the_stream_stays_open(proxy: Proxy) -> None:
    proxy.engine.next_event.clear()
    with (
        proxy.sent("GET /v1.41/events?filters=%7B%22type%22%3A%7B%22container%22%3Atrue%7D%7D") as stream,
        stream.makefile("rb") as answer,
    ):
        assert b" 200 " in answer.readline()
        assert any(b"first" in line for line in answer)
        proxy.engine.next_event.set()
        assert any(b"second" in line for line in answer)


@pytest.mark.parametrize("app", APPS)
def test_haproxy_accepts_the_file_without_a_warning(app: str, tmp_path: Path) -> None:
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_bytes(Catalog.shipped().app(app).files["haproxy.cfg"])
    checked = subprocess.run(["haproxy", "-c", "-f", str(configuration)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert "WARNING" not in checked.stderr
