"""Who may see what at the waker's door, how many may stand there, and what nobody is asked to repeat.

A real Traefik with the product's own middlewares before each route. Docker is a fake, and so is what answers for
sign-on.
"""

from __future__ import annotations

import hashlib
import json
import resource
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from waker_world import BROWSER, PATIENCE, World

from ez_homelab.render.traefik import install_file, middlewares_file
from ez_homelab.runtime.waker.door import MOST
from ez_homelab.runtime.waker.pages import is_signed_in
from ez_homelab.runtime.waker.wire import parse_request
from ez_homelab.sso import ENGINES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NORA = {"Cookie": "session=nora"}
WORDS = b"FATAL: the database is of another time"


class SignOn(BaseHTTPRequestHandler):
    """Lets everybody in, and says who it is where there is a session: an open route with Authelia."""

    def do_GET(self) -> None:
        self.send_response(200)
        if self.headers["Cookie"] == NORA["Cookie"]:
            self.send_header("Remote-User", "nora")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, *_: object) -> None:
        pass


class OpenWorld(World):
    """Traefik asks for everybody, as in a lab."""

    def __init__(self, folder: Path) -> None:
        self._sign_on = ThreadingHTTPServer(("127.0.0.1", 0), SignOn)
        threading.Thread(target=self._sign_on.serve_forever, daemon=True).start()
        super().__init__(folder)

    def _install(self) -> dict[str, Any]:
        engine = ENGINES["builtin"]
        document = yaml.safe_load(middlewares_file(engine.forward_auth()))
        address = f"http://127.0.0.1:{self._sign_on.server_address[1]}"
        document["http"]["middlewares"]["sign-on"]["forwardAuth"]["address"] = address
        (self.folder / "dynamic/middlewares.yml").write_text(yaml.safe_dump({"http": document["http"]}))
        install = super()._install()
        told = yaml.safe_load(install_file(engine.entrypoint))["entryPoints"]["websecure"]["http"]
        install["entryPoints"]["web"]["http"] = {key: told[key] for key in ("middlewares", "aliasHeadersStrategy")}
        return install

    def stop(self) -> None:
        super().stop()
        self._sign_on.shutdown()
        self._sign_on.server_close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = OpenWorld(tmp_path_factory.mktemp("door"))
    try:
        made.add("broken", "crash", page_after=20)
        for name in ("plain", "drops", "never"):
            made.add(name)
        made.add("large", "1")
        made.start()
        yield made
    finally:
        made.stop()


def answer_to(world: World, *lines: str) -> bytes:
    """What Traefik answers to a request as it stands here."""
    with socket.create_connection(("127.0.0.1", world.web), PATIENCE) as connection:
        connection.sendall("\r\n".join((*lines, "", "")).encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_an_apps_own_words_are_for_who_is_signed_in(world: World) -> None:
    status, _, page = world.ask("broken", **BROWSER)
    assert (status, b"exit code 3" in page, b"Try again" in page) == (503, True, True)
    assert WORDS not in page
    assert b"last words" not in page
    assert WORDS in world.ask("broken", **BROWSER, **NORA)[2]
    for who in ({}, NORA):
        events = world.ask("broken", target="/.waker/events", **who)[2]
        assert b'"failed"' in events
        assert b"FATAL" not in events


@pytest.mark.parametrize(
    "forged",
    [
        ["Remote-User: admin"],
        ["remote-user: admin", "Remote-User: admin"],
        ["Remote_User: admin"],
        ["Remote.User: admin"],
        ["Remote-User: admin", "Connection: Remote-User"],
        ["Remote-User: admin", "Cookie: session=admin"],
    ],
    ids=" ".join,
)
def test_nobody_says_himself_that_he_is_signed_in(world: World, forged: list[str]) -> None:
    browser = (f"{name}: {value}" for name, value in BROWSER.items())
    answer = answer_to(world, "GET / HTTP/1.0", "Host: broken.lab", *browser, *forged)
    assert b"exit code 3" in answer
    assert WORDS not in answer


@pytest.mark.parametrize("tried", [["X-Ez-Waker:"], ["Connection: X-Ez-Waker"]], ids=" ".join)
def test_nobody_outside_takes_the_mark_off(world: World, tried: list[str]) -> None:
    answer = answer_to(world, "GET /metrics HTTP/1.0", "Host: plain.lab", *tried)
    assert b"X-App: yes" in answer


@pytest.mark.parametrize(
    ("lines", "signed_in"),
    [
        (["Remote-User: nora"], True),
        (["remote-user: nora"], True),
        (["Remote-User:"], False),
        (["Remote-User: nora", "Remote-User: admin"], False),
        (["Remote_User: nora"], False),
        (["Remote-Groups: admins"], False),
        ([], False),
    ],
)
def test_who_is_signed_in(lines: list[str], signed_in: bool) -> None:
    assert is_signed_in(parse_request("\r\n".join(("GET / HTTP/1.1", *lines)))) is signed_in


def test_an_app_that_breaks_off_is_not_asked_again(world: World) -> None:
    status, fields, content = world.ask("drops", "POST", "/drop", b"x")
    assert (status, content) == (502, b"Drops has given no answer.\n")
    assert fields["Retry-After"] is None


def test_a_waker_that_ends_asks_nobody_to_repeat_what_the_app_has(world: World) -> None:
    assert world.waker is not None
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(world.ask, "never", "POST", "/never", b"x")
        world.until_app("never", state="awake", in_flight=1)
        world.waker.stop()
        status, fields, _ = asked.result()
    world.start()
    assert (status, fields["Retry-After"]) == (502, None)


def test_a_body_waits_with_its_sender_where_the_disk_is_full(world: World) -> None:
    assert world.waker is not None
    body = bytes(range(256)) * 30_000
    most = resource.prlimit(world.waker.pid, resource.RLIMIT_FSIZE)
    # No file of the waker gets larger: what is written past that is cut, and then refused.
    resource.prlimit(world.waker.pid, resource.RLIMIT_FSIZE, (300_000, most[1]))
    status, _, content = world.ask("large", "POST", "/", body)
    resource.prlimit(world.waker.pid, resource.RLIMIT_FSIZE, most)
    assert (status, json.loads(content)["sum"]) == (200, hashlib.sha256(body).hexdigest())
    assert "cannot be held on disk" in (world.folder / "waker.log").read_text()


def test_more_than_may_stand_at_the_door_are_told_to_come_again(world: World) -> None:
    with ExitStack() as closing:
        for _ in range(MOST):
            closing.enter_context(socket.create_connection(("127.0.0.1", world.port), PATIENCE))
        # Traefik may have a connection or two from before, on which it is served as ever.
        answers = [world.ask("broken", "POST", "/", bytes(200_000)) for _ in range(3)]
        with ThreadPoolExecutor(10) as pool:
            answers += pool.map(lambda number: world.ask("broken", "POST", f"/{number}", bytes(200_000)), range(20))
        turned_away = [fields for status, fields, content in answers if b"Too many requests" in content]
        assert {status for status, _, _ in answers} == {503}
        assert turned_away
        assert {fields["Retry-After"] for fields in turned_away} == {"5"}
        assert world.health() == 200
    world.until(lambda: world.ask("plain")[0] == 200)
