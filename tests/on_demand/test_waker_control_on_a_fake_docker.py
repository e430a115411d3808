"""What stands between the waker and Docker: what it lets through and refuses, and how it keeps the waker running."""

from __future__ import annotations

import json
import socket
import time
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest
from waker_world import PATIENCE, World

from ez_homelab.runtime.waker.control import BEFORE_START
from ez_homelab.runtime.waker.docker import EVENTS_QUERY, LOG_QUERY
from ez_homelab.runtime.waker.guard import AFTER_A_FAILURE

if TYPE_CHECKING:
    from collections.abc import Iterator


class OverSocket(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self._path)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("control"), filtered=True)
    try:
        made.add("wiki", extra=("wiki-db",))
        made.docker.add("vault", 1)
        made.docker.add("traefik", made.spare())
        made.docker.add("waker", made.spare())
        made.write()
        made.way_to_docker()
        made.until(lambda: bool(made.docker.listeners))
        yield made
    finally:
        made.stop()


def path(world: World) -> str:
    return str(world.folder / "run/docker.sock")


def ask(world: World, method: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = OverSocket(path(world))
    connection.request(method, target, body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def test_only_what_the_waker_uses_is_told(world: World) -> None:
    status, content = ask(world, "GET", "/v1.41/containers/json?all=true")
    assert (status, json.loads(content)) == (
        200,
        [{"Names": ["/wiki-db"], "State": "exited"}, {"Names": ["/wiki"], "State": "exited"}],
    )
    status, content = ask(world, "GET", "/containers/wiki/json")
    assert json.loads(content) == {"State": {"Status": "exited", "ExitCode": 0}, "Config": {"Tty": False}}
    assert ask(world, "GET", "/_ping") == (200, b"OK")


def test_what_may_sleep_is_started_and_stopped(world: World) -> None:
    assert ask(world, "POST", "/v1.41/containers/wiki/start")[0] == 204
    assert ask(world, "POST", "/containers/wiki/start")[0] == 304
    assert json.loads(ask(world, "GET", "/containers/wiki/json")[1])["State"]["Status"] == "running"
    assert ask(world, "POST", "/containers/wiki/stop")[0] == 204
    status, _ = ask(world, "GET", f"/containers/wiki/logs?{LOG_QUERY}")
    assert status == 200


def test_the_log_is_that_of_the_last_start(world: World) -> None:
    before, now = len(world.docker.requests), time.time()
    ask(world, "POST", "/containers/wiki/start")
    ask(world, "GET", f"/containers/wiki/logs?{LOG_QUERY}")
    ask(world, "POST", "/containers/wiki/stop")
    [asked] = (request for request in world.docker.requests[before:] if "/logs?" in request)
    assert abs(int(asked.partition("&since=")[2]) + BEFORE_START - now) < PATIENCE


REFUSED = [
    ("GET", "/containers/json"),
    ("GET", "/containers/json?all=true&size=true"),
    ("GET", "/containers/vault/json"),
    ("GET", "/containers/vault/logs?" + LOG_QUERY),
    ("POST", "/containers/vault/start"),
    ("POST", "/containers/traefik/stop"),
    ("POST", "/containers/waker/restart"),
    ("GET", "/containers/wiki/json?size=true"),
    ("GET", "/containers/wiki/logs?stdout=true&stderr=true&tail=all"),
    ("GET", "/containers/wiki/archive?path=/"),
    ("GET", "/containers/wiki/top"),
    ("POST", "/containers/wiki/restart"),
    ("POST", "/containers/wiki/kill"),
    ("POST", "/containers/wiki/exec"),
    ("POST", "/containers/wiki/stop?t=0"),
    ("POST", "/containers/wiki/json"),
    ("GET", "/containers/wiki/start"),
    ("DELETE", "/containers/wiki"),
    ("POST", "/containers/create"),
    ("POST", "/containers/wiki%2F..%2Fvault/start"),
    ("POST", "/containers/wiki/../vault/start"),
    ("POST", "//containers/vault/start"),
    ("POST", "/v1.41/v1.41/containers/wiki/start"),
    ("GET", "/events"),
    ("GET", "/events?since=0"),
    ("GET", "/images/json"),
    ("GET", "/info"),
    ("GET", "/version"),
    ("HEAD", "/_ping"),
    ("POST", "/_ping"),
    ("GET", "http://localhost/_ping"),
    ("PUT", "/containers/wiki/start"),
]


@pytest.mark.parametrize(("method", "target"), REFUSED, ids=[" ".join(one) for one in REFUSED])
def test_everything_else_is_refused(world: World, method: str, target: str) -> None:
    before = len(world.docker.requests)
    assert ask(world, method, target)[0] == 403
    assert not [line for line in world.docker.requests[before:] if "/_ping" not in line and not _looks(line)]


def _looks(line: str) -> bool:
    """Whether it is the guard's own request."""
    return line.startswith("GET") and line.endswith(("/traefik/json", "/waker/json"))


def test_a_body_is_refused(world: World) -> None:
    assert ask(world, "POST", "/containers/wiki/start", b"{}")[0] == 403
    assert not world.docker.running("wiki")


def test_what_docker_refuses_is_passed_on(world: World) -> None:
    gone = world.docker.containers.pop("wiki-db")
    status, content = ask(world, "POST", "/containers/wiki-db/start")
    assert (status, json.loads(content)) == (404, {"message": "No such container: wiki-db"})
    world.docker.containers["wiki-db"] = gone


def test_a_name_is_never_taken_for_how_an_id_begins(world: World) -> None:
    vault = world.docker.containers["vault"]
    beginning = vault.identity[:4]
    world.apps.append({**world.apps[0], "name": "hex", "routes": [{**world.apps[0]["routes"][0], "name": "hex"}]})
    world.apps[-1]["containers"] = [{"name": beginning}]
    world.write()
    gone = {"message": f"No such container: {beginning}"}
    for method, what in (("GET", "json"), ("POST", "start"), ("POST", "stop"), ("GET", f"logs?{LOG_QUERY}")):
        status, content = ask(world, method, f"/containers/{beginning}/{what}")
        assert (status, json.loads(content)) == (404, gone), what
    assert vault.starts == 0
    world.docker.add(beginning, world.spare())
    assert ask(world, "POST", f"/containers/{beginning}/start")[0] == 204
    assert json.loads(ask(world, "GET", f"/containers/{beginning}/json")[1])["State"]["Status"] == "running"
    assert ask(world, "POST", f"/containers/{beginning}/stop")[0] == 204
    assert (vault.starts, world.docker.containers.pop(beginning).starts) == (0, 1)
    world.apps.pop()
    world.write()


def test_who_sends_a_head_that_is_too_large_is_sent_away(world: World) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(path(world))
        connection.sendall(b"GET /_ping HTTP/1.1\r\nX: " + b"a" * 20_000)
        assert connection.recv(100) == b""


def test_who_says_nothing_keeps_nobody_waiting(world: World) -> None:
    silent = []
    for _ in range(300):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        connection.connect(path(world))
        silent.append(connection)
    # Past so many connections further ones are closed at once.
    assert silent[-1].recv(1) == b""
    for connection in silent[:100]:
        connection.close()
    world.until(lambda: answers(world))
    for connection in silent[100:]:
        connection.close()


def answers(world: World) -> bool:
    try:
        return ask(world, "GET", "/_ping")[0] == 200
    except OSError:
        return False


class Listener:
    """Somebody who listens to events."""

    def __init__(self, world: World) -> None:
        self._connection = OverSocket(path(world))
        self._connection.request("GET", f"/v1.41/events?{EVENTS_QUERY}")
        self.answer = self._connection.getresponse()

    def next(self) -> dict[str, Any] | None:
        line = self.answer.readline()
        return json.loads(line) if line else None

    def close(self) -> None:
        self.answer.close()
        self._connection.close()


def test_events_of_what_may_sleep_are_told_to_all_who_listen(world: World) -> None:
    listeners = [Listener(world), Listener(world)]
    world.docker.tell("vault", "start")
    world.docker.tell("wiki", "die")
    wanted = {"Action": "die", "Actor": {"Attributes": {"name": "wiki"}}}
    assert [one.next() for one in listeners] == [wanted, wanted]
    assert len(world.docker.listeners) == 1
    world.docker.end_events()
    assert [one.next() for one in listeners] == [None, None]
    for one in listeners:
        one.close()
    world.until(lambda: bool(world.docker.listeners))


def test_who_does_not_read_its_events_keeps_nobody_waiting(world: World) -> None:
    slow, quick = Listener(world), Listener(world)
    for _ in range(20_000):
        world.docker.tell("wiki", "die")
    world.docker.tell("wiki", "destroy")
    seen: dict[str, Any] | None = {"Action": ""}
    while seen and seen["Action"] != "destroy":
        seen = quick.next()
    assert answers(world)
    slow.close()
    quick.close()


def test_names_follow_lazy_json(world: World) -> None:
    world.docker.add("late", 1)
    assert ask(world, "GET", "/containers/late/json")[0] == 403
    world.apps.append({**world.apps[0], "name": "late", "routes": [{**world.apps[0]["routes"][0], "name": "late"}]})
    world.apps[-1]["containers"] = [{"name": "late"}]
    world.write()
    assert ask(world, "GET", "/containers/late/json")[0] == 200
    (world.folder / "config" / "lazy.json").write_text("{")
    assert ask(world, "GET", "/containers/late/json")[0] == 200
    world.apps.pop()
    world.write()
    assert ask(world, "GET", "/containers/late/json")[0] == 403


def test_its_socket_is_its_own_users_and_groups(world: World) -> None:
    assert (world.folder / "run/docker.sock").stat().st_mode & 0o777 == 0o660


def test_it_is_well_while_docker_answers(world: World) -> None:
    connection = HTTPConnection("127.0.0.1", world.control_port, timeout=PATIENCE)
    connection.request("GET", "/health")
    assert connection.getresponse().status == 200
    connection.close()


def test_the_waker_is_brought_to_where_traefik_is(world: World) -> None:
    world.docker.start("traefik")
    world.docker.start("waker")
    waker = world.docker.containers["waker"]
    world.docker.stop("traefik")
    world.docker.start("traefik")
    world.until(lambda: waker.starts == 2 and waker.status == "running")
    assert world.docker.containers["traefik"].starts == 2


def test_a_waker_that_could_not_be_started_is_started(world: World) -> None:
    waker = world.docker.containers["waker"]
    world.docker.stop("traefik")
    world.docker.stop("waker")
    waker.error, waker.exit_code = "cannot join network of a non running container: 4f1a", 128
    starts = waker.starts
    world.docker.start("traefik")
    world.until(lambda: waker.starts == starts + 1 and waker.status == "running")


def test_a_waker_that_a_person_has_stopped_stays_stopped(world: World) -> None:
    waker = world.docker.containers["waker"]
    world.docker.stop("waker")
    starts = waker.starts
    looks = len([line for line in world.docker.requests if line.endswith("/waker/json")])
    world.docker.stop("traefik")
    world.docker.start("traefik")
    world.until(lambda: len([line for line in world.docker.requests if line.endswith("/waker/json")]) > looks)
    assert (waker.starts, waker.status) == (starts, "exited")


def test_a_start_that_fails_again_and_again_is_no_storm(world: World) -> None:
    waker = world.docker.containers["waker"]
    waker.error, waker.exit_code = "no such network namespace", 128
    waker.cannot_start = waker.error
    tried = "POST /v1.41/containers/waker/start"
    began = time.monotonic()
    world.docker.tell("waker", "die")
    world.until(lambda: tried in world.docker.requests)
    for _ in range(20):
        world.docker.tell("waker", "die")
    assert answers(world)
    tries = world.docker.requests.count(tried)
    assert tries <= 1 + (time.monotonic() - began) / AFTER_A_FAILURE
    waker.cannot_start = ""
    world.until(lambda: waker.status == "running")
