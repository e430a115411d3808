"""The waker behind a real Traefik: asleep, woken, out of the way, asleep again. Docker alone is a fake."""

from __future__ import annotations

import hashlib
import json
import threading
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest
from waker_world import BROWSER, World, says

from ez_homelab.runtime.waker import admin

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"), filtered=True)
    try:
        for name in ("plain", "post", "many", "ws", "own", "killed", "again"):
            made.add(name)
        made.add("pair", extra=("pair-db",))
        made.add("slow", "1.5", page_after=0.1)
        made.add("broken", "crash", page_after=20)
        made.add("short", idle=1)
        made.add("told", "0.5", clients="503")
        made.start()
        yield made
    finally:
        made.stop()


def together(count: int, work: Any) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_request_wakes_an_app_and_then_the_waker_is_out_of_the_way(world: World) -> None:
    assert world.app("plain")["state"] == "asleep"
    status, fields, content = world.ask("plain", target="/a%2Fb?q=1", X_Ez_Waker="pair/app", X_Forwarded_For="6.6.6.6")
    told = json.loads(content)
    assert (status, fields["X-App"]) == (200, "yes")
    assert (told["target"], told["fields"]["host"]) == ("/a%2Fb?q=1", "plain.lab")
    assert "x-ez-waker" not in told["fields"]
    assert told["fields"]["x-forwarded-for"] == "127.0.0.1"
    world.until_app("plain", state="awake", leads_to="app")
    direct = json.loads(world.ask("plain")[2])
    assert direct["pid"] == told["pid"]
    assert set(direct["fields"]) - set(told["fields"]) <= {"connection"}
    assert world.app("plain")["wakes"]["count"] == 1


def test_containers_start_in_their_order(world: World) -> None:
    assert world.ask("pair")[0] == 200
    order = [line.split("/")[-2] for line in world.docker.requests if line.endswith("/start") and "pair" in line]
    assert order == ["pair-db", "pair"]
    assert world.order("POST", "/apps/pair/sleep") == {"app": "pair", "state": "asleep"}
    assert not world.docker.running("pair")
    assert not world.docker.running("pair-db")


def test_a_large_body_arrives_whole(world: World) -> None:
    body = bytes(range(256)) * 20_000
    status, _, content = world.ask("post", "POST", "/upload", body)
    told = json.loads(content)
    assert (status, told["method"], told["size"]) == (200, "POST", len(body))
    assert told["sum"] == hashlib.sha256(body).hexdigest()


def test_a_body_in_chunks_arrives_whole(world: World) -> None:
    world.order("POST", "/apps/post/sleep")
    told = json.loads(world.ask("post", "PUT", "/upload", iter([b"one", b"two" * 50_000]))[2])
    assert (told["method"], told["size"]) == ("PUT", 150_003)


def test_two_hundred_requests_at_once_are_one_start(world: World) -> None:
    answers: list[tuple[int, str]] = []

    def one(number: int) -> None:
        body = b"%06d" % number
        status, _, content = world.ask("many", "POST", f"/{number}", body)
        told = json.loads(content)
        answers.append((status, told["target"]))
        assert told["sum"] == hashlib.sha256(body).hexdigest()

    together(200, one)
    assert sorted(answers) == sorted((200, f"/{number}") for number in range(200))
    assert world.docker.containers["many"].starts == 1


def test_an_upgrade_is_held_and_keeps_its_connection(world: World) -> None:
    connection = world.upgrade("ws")
    assert says(connection, b"hello" * 10_000) == b"hello" * 10_000
    world.until_app("ws", state="awake", leads_to="app")
    assert says(connection, b"still here") == b"still here"
    refused = world.order("POST", "/apps/ws/sleep")
    assert "in use" in refused["error"]
    assert world.docker.running("ws")
    connection.close()
    assert world.app("ws")["state"] == "awake"


@pytest.mark.parametrize("status", [502, 503, 404])
@pytest.mark.parametrize("asleep", [True, False])
def test_an_apps_own_errors_are_its_own(world: World, status: int, asleep: bool) -> None:
    world.order("POST", f"/apps/own/{'sleep' if asleep else 'wake'}")
    found, fields, content = world.ask("own", target=f"/status/{status}")
    assert (found, fields["X-App"]) == (status, "yes")
    assert json.loads(content)["target"] == f"/status/{status}"


def test_a_browser_sees_the_page_and_then_what_it_asked_for(world: World) -> None:
    status, fields, content = world.ask("slow", target="/deep?q=%22%3E", **BROWSER)
    page = content.decode()
    assert status == 503
    assert "script-src 'self'" in fields["Content-Security-Policy"]
    assert "Slow" in page
    assert 'http-equiv="refresh"' in page
    assert "<script>" not in page
    assert "style=" not in page
    for name in ("page.css", "page.js", "moon.svg"):
        assert world.ask("slow", target=f"/.waker/{name}")[0] == 200
    events = world.open("slow", target="/.waker/events")
    told = [json.loads(line[6:]) for line in events.read().split(b"\n\n") if line]
    assert (told[0]["state"], told[0]["step"]) == ("waking", "Starting slow")
    assert told[-1]["state"] == "awake"
    status, fields, content = world.ask("slow", target="/deep?q=1", **BROWSER)
    assert (status, json.loads(content)["target"]) == (200, "/deep?q=1")


def test_an_app_that_crashes_says_why_and_is_not_started_again_and_again(world: World) -> None:
    status, _, content = world.ask("broken", **BROWSER, Remote_User="nora")
    page = content.decode()
    assert status == 503
    assert "exit code 3" in page
    assert "FATAL: the database is of another time" in page
    assert "Try again" in page
    starts = world.docker.containers["broken"].starts
    together(20, lambda number: world.ask("broken", target=f"/{number}"))
    assert world.docker.containers["broken"].starts == starts
    status, fields, content = world.ask("broken", "POST", "/api", b"x")
    assert status == 503
    assert int(fields["Retry-After"]) >= 1
    assert b"FATAL" not in content
    world.docker.containers["broken"].delay = "0"
    world.until(lambda: world.app("broken")["retry_in"] < 2.5)
    status, fields, _ = world.ask("broken", "POST", "/.waker/retry", "to=/deep%3Fq%3D1")
    assert (status, fields["Location"]) == (303, "/deep?q=1")
    assert world.ask("broken", target="/deep?q=1")[0] == 200
    assert world.app("broken")["failures"] == 0


def test_an_api_client_can_be_told_to_come_again(world: World) -> None:
    status, fields, _ = world.ask("told", target="/api")
    assert status == 503
    assert int(fields["Retry-After"]) >= 1
    world.until_app("told", state="awake")
    assert world.ask("told", target="/api")[0] == 200


def test_a_monitor_wakes_nothing(world: World) -> None:
    world.order("POST", "/apps/again/sleep")
    starts = world.docker.containers["again"].starts
    monitor = {"User_Agent": "Uptime-Kuma/2.0"}
    status, _, content = world.ask("again", **monitor)
    assert (status, content) == (200, b"asleep\n")
    assert world.docker.containers["again"].starts == starts
    world.order("POST", "/apps/again/wake")
    assert json.loads(world.ask("again", target="/status/500", **monitor)[2])["target"] == "/status/500"


def test_an_app_falls_asleep_when_nobody_is_there_and_not_before(world: World) -> None:
    answer = world.open("short", target="/stream/35")
    connection = world.upgrade("short")
    assert len(answer.read()) == 35 * 8
    assert says(connection, b"longer than the idle time") == b"longer than the idle time"
    assert world.docker.running("short")
    connection.close()
    world.until_app("short", state="asleep", leads_to="waker")
    assert not world.docker.running("short")
    assert world.docker.containers["short"].starts == 1


def test_nothing_falls_asleep_under_load(world: World) -> None:
    world.order("POST", "/apps/short/wake")
    starts = world.docker.containers["short"].starts
    for _ in range(25):
        answer = world.open("short", target="/stream/1")
        assert answer.status == 200
        answer.read()
    assert world.docker.containers["short"].starts == starts


def test_a_killed_waker_finds_out_how_things_are(world: World) -> None:
    assert world.ask("plain")[0] == 200
    assert world.ask("killed")[0] == 200
    world.until_app("killed", leads_to="app")
    world.restart()
    world.until_app("killed", state="awake", leads_to="app")
    assert world.docker.containers["killed"].starts == 1
    assert world.app("plain")["wakes"]["count"] >= 1


def test_a_killed_waker_was_just_waking_an_app(world: World) -> None:
    world.order("POST", "/apps/killed/sleep")
    assert world.waker is not None
    world.waker.kill()
    world.docker.start("killed")
    world.start()
    world.until_app("killed", state="awake", leads_to="app")


def test_containers_stopped_by_hand_wake_again(world: World) -> None:
    world.order("POST", "/apps/plain/wake")
    world.until_app("plain", leads_to="app")
    world.docker.stop("plain")
    world.until_app("plain", state="asleep", leads_to="waker")
    assert world.ask("plain")[0] == 200


def test_a_container_that_is_gone_is_said_so(world: World) -> None:
    world.order("POST", "/apps/again/sleep")
    gone = world.docker.containers.pop("again")
    status, _, content = world.ask("again")
    assert status == 503
    assert b"No such container: again" in content
    world.docker.containers["again"] = gone


def test_docker_restarts(world: World) -> None:
    world.order("POST", "/apps/plain/wake")
    world.docker.end_events()
    world.docker.listeners.clear()
    world.docker.stop("plain")
    world.until_app("plain", state="asleep", leads_to="waker")


@pytest.mark.parametrize("order", ["wake", "sleep"])
def test_traefik_restarts(world: World, order: str) -> None:
    world.order("POST", f"/apps/own/{order}")
    world.restart_traefik()
    world.until(lambda: world.ask("own")[0] == 200)
    world.until_app("own", leads_to="app")


def test_apps_come_and_go_with_lazy_json(world: World) -> None:
    world.add("late")
    world.write()
    world.until(lambda: world.ask("late")[0] == 200)
    entry = world.apps.pop()
    world.write()
    world.until(lambda: world.ask("late")[0] == 404)
    assert entry["name"] not in world.status()["apps"]
    assert world.docker.running("late")


def test_a_broken_lazy_json_changes_nothing(world: World) -> None:
    (world.folder / "config" / "lazy.json").write_text("{")
    world.until(lambda: "goes on with what it read before" in (world.folder / "waker.log").read_text())
    assert world.ask("plain")[0] == 200
    world.write()


def test_figures_for_prometheus(world: World) -> None:
    answer = world.ask("plain", target="/metrics")
    assert b"ez_homelab_" not in answer[2]
    connection = HTTPConnection("127.0.0.1", world.port)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    assert 'ez_homelab_group_state{group="plain",state="awake"} 1' in text
    assert "ez_homelab_memory_saved_bytes" in text
    written = (world.folder / "run/waker.prom").read_text()
    assert {line for line in text.splitlines() if line[0] == "#"} < {*written.splitlines()}


def test_orders_for_what_is_not_there(world: World) -> None:
    assert "no app" in world.order("POST", "/apps/nothing/wake")["error"]
    assert "not known" in world.order("GET", "/apps/plain/wake")["error"]
    assert (world.folder / "run/admin.sock").stat().st_mode & 0o777 == 0o600


def test_the_client_for_root(world: World, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any) -> None:
    monkeypatch.setenv("WAKER_SOCKET", str(world.folder / "run/admin.sock"))
    assert admin.main(["wake", "plain"]) == 0
    assert json.loads(capfdbinary.readouterr().out)["state"] == "awake"
    assert admin.main(["status"]) == 0
    assert "plain" in json.loads(capfdbinary.readouterr().out)["apps"]
    assert admin.main(["wake", "nothing"]) == 1
    assert admin.main([]) == 1
    monkeypatch.setenv("WAKER_SOCKET", str(world.folder / "nowhere"))
    capfdbinary.readouterr()
    assert admin.main(["status"]) == 1
    assert "does not answer" in json.loads(capfdbinary.readouterr().out)["error"]
