"""The small parts: figures, sockets, route files, what Docker and Traefik say, pages."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest

from ez_homelab.runtime.waker.docker import frames, version
from ez_homelab.runtime.waker.door import same_host
from ez_homelab.runtime.waker.pages import wants_page
from ez_homelab.runtime.waker.routes import RouteFiles
from ez_homelab.runtime.waker.settings import Address, Container, LazyApp, LazyRoute
from ez_homelab.runtime.waker.sockets import addresses, established, open_to, read_tables
from ez_homelab.runtime.waker.statistics import KEPT, Statistics, Wakes
from ez_homelab.runtime.waker.traefik import requests_by_service

ROUTE = LazyRoute("wiki", "Host(`wiki.lab`)", Address("wiki", 8080))
APP = LazyApp("wiki", "Wiki", (ROUTE,), (Container("wiki"),))


def test_figures_outlive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "statistics.json"
    figures = Statistics(path)
    assert figures.of("wiki") == Wakes(0, None, None)
    for seconds in range(1, 2 * KEPT + 1):
        figures.add("wiki", float(seconds))
    assert Statistics(path).of("wiki") == figures.of("wiki") == Wakes(200, 150.0, 195.0)
    path.write_text("{broken")
    assert Statistics(path).of("wiki").count == 0


def test_figures_that_cannot_be_written_are_kept_meanwhile(tmp_path: Path) -> None:
    figures = Statistics(tmp_path / "nowhere" / "statistics.json")
    figures.add("wiki", 2.0)
    assert figures.of("wiki") == Wakes(1, 2.0, 2.0)


TABLE = """  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000
   1: 0200000A:C350 0300000A:1F90 01 00000000:00000000
   2: 0200000A:C351 0300000A:1F90 06 00000000:00000000
   3: 0200000A:C352 0300000A:1F91 01 00000000:00000000
"""
TABLE_6 = """  sl  local_address rem_address   st tx_queue rx_queue
   0: 0000000000000000FFFF00000200000A:C353 0000000000000000FFFF00000300000A:1F90 01 0
   1: B80D0120000000000000000001000000:C354 B80D0120000000000000000002000000:1F90 01 0
"""


def test_established_connections_by_where_they_lead() -> None:
    found = established([TABLE, TABLE_6])
    assert found == {
        (50000, (ip_address("10.0.0.3"), 8080)): 1,
        (50002, (ip_address("10.0.0.3"), 8081)): 1,
        (50003, (ip_address("10.0.0.3"), 8080)): 1,
        (50004, (ip_address("2001:db8::2"), 8080)): 1,
    }


async def test_a_connection_of_this_machine_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        there = await addresses(Address("127.0.0.1", port))
        assert open_to(there, read_tables()) == 0
        with socket.create_connection(("127.0.0.1", port)) as client:
            assert open_to(there, read_tables()) == 1
            assert open_to(there, read_tables(), but=[client.getsockname()[1]]) == 0
    with pytest.raises(OSError, match=r".+"):
        await addresses(Address("no-such-name.invalid", 80))


def test_requests_by_service() -> None:
    text = (
        "# TYPE traefik_service_requests_total counter\n"
        'traefik_service_requests_total{code="200",method="GET",protocol="http",service="wiki@file"} 5\n'
        'traefik_service_requests_total{code="404",method="GET",protocol="http",service="wiki@file"} 1e+01\n'
        'traefik_service_requests_total{code="200",method="GET",protocol="http",service="wiki-waker@file"} 7\n'
        "traefik_service_requests_total{broken\n"
        'traefik_service_requests_bytes_total{service="wiki@file"} 99\n'
    )
    assert requests_by_service(text) == {"wiki@file": 15.0, "wiki-waker@file": 7.0}


def test_a_nudge_that_was_replaced_is_told(tmp_path: Path) -> None:
    with (tmp_path / "nudge").open("w") as mounted:
        files = RouteFiles(tmp_path, "http://127.0.0.1:9095", Path(f"/proc/self/fd/{mounted.fileno()}"))
        files.nudge()
        (tmp_path / "nudge").unlink()
        with pytest.raises(OSError, match="was replaced; `docker restart waker` sees the new one"):
            files.nudge()


def test_route_files(tmp_path: Path) -> None:
    nudge = tmp_path / "nudge"
    nudge.touch()
    folder = tmp_path / "routes"
    folder.mkdir()
    files = RouteFiles(folder, "http://127.0.0.1:9095", nudge)
    files.monitors = ("^Kuma", "Blackbox")
    assert files.leads(APP) is None
    before = nudge.stat().st_mtime_ns
    files.write(APP, direct=False)
    assert nudge.stat().st_mtime_ns > before
    assert files.leads(APP) is False
    asleep = json.loads((folder / "app-wiki.yml").read_text())["http"]
    files.write(APP, direct=True)
    assert files.leads(APP) is True
    awake = json.loads((folder / "app-wiki.yml").read_text())["http"]
    assert asleep["services"] == awake["services"]
    assert awake["serversTransports"]["wiki-lazy"]["maxIdleConnsPerHost"] == 200
    assert asleep["routers"]["wiki"] == {
        "rule": "Host(`wiki.lab`)",
        "service": "wiki-waker",
        "middlewares": ["wiki-app"],
    }
    assert awake["routers"]["wiki"] == {"rule": "Host(`wiki.lab`)", "service": "wiki"}
    monitors = awake["routers"]["wiki-monitor"]
    assert monitors["service"] == "wiki-waker"
    assert monitors["rule"].endswith("(HeaderRegexp(`User-Agent`, `^Kuma`) || HeaderRegexp(`User-Agent`, `Blackbox`))")
    assert list(folder.iterdir()) == [folder / "app-wiki.yml"]
    assert files.others(["other"]) == ["wiki"]
    files.remove("wiki")
    assert not list(folder.iterdir())


def test_docker_logs_and_versions() -> None:
    lines = [(1, b"out\n"), (2, b"err\n")]
    assert frames(b"".join(bytes([kind, 0, 0, 0, 0, 0, 0, len(text)]) + text for kind, text in lines)) == b"out\nerr\n"
    assert frames(b"\x01\0\0") == b""
    assert [version(text) for text in ("1.52", "", "x.1")] == [(1, 52), (1, 41), (1, 41)]


@pytest.mark.parametrize(
    ("method", "accept", "destination", "page"),
    [
        ("GET", "text/html,*/*", "document", True),
        ("GET", "text/html,*/*", "", True),
        ("GET", "text/html", "empty", False),
        ("GET", "*/*", "", False),
        ("GET", "", "image", False),
        ("POST", "text/html", "document", False),
        ("HEAD", "text/html", "", False),
    ],
)
def test_who_gets_the_page(method: str, accept: str, destination: str, page: bool) -> None:
    assert wants_page(method, accept, destination) is page


@pytest.mark.parametrize(
    ("to", "leads"),
    [
        ("/a?b=c%20d#e", "/a?b=c%20d#e"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\r\nSet-Cookie: x", "/"),
        ("", "/"),
    ],
)
def test_nobody_is_led_elsewhere(to: str, leads: str) -> None:
    assert same_host(to) == leads


def test_what_runs_in_the_container_needs_nothing_but_python() -> None:
    code = (
        "import sys; import waker.__main__, waker.admin, waker.control;"
        "print([n for n in sys.modules if n.split('.')[0] in sys.argv])"
    )
    folder = Path(__file__).parents[4] / "src/ez_homelab/runtime"

    async def check() -> bytes:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", "-c", code, "aiohttp", "jinja2", "uvloop", "ez_homelab", "yaml"),
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
        )
        return (await process.communicate())[0]

    assert asyncio.run(check()).strip() == b"[]"
