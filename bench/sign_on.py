"""What sign-on costs: requests through it beside the plain route, signed-in people beside a flood of sign-ins, memory.

    python bench/sign_on.py [--json] [--seconds N]      (needs `wrk`; neither root nor Docker)

Real Traefik with the product's configuration, the real gate, and a small fast app, all on this machine. Every figure is
beside one of the same run; on a busy machine both are worth little. With EZ_TEST_AUTHELIA naming an executable the same
routes are measured behind Authelia.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
import uvloop
import yaml

from ez_homelab.testing.front import Front, free_port, listens
from ez_homelab.testing.front.browser import form_of
from ez_homelab.testing.front.gate import Gate
from ez_homelab.testing.front.programs import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.testing.front.engine import Engine

LAB = yaml.safe_load((Path(__file__).resolve().parent.parent / "tests/sso/lab.yaml").read_text(encoding="utf-8"))
ROUNDS = 3
PEOPLE = 50
ASKS_A_SECOND = 4.0
"""Of each of them, as somebody who opens pages; fewer than the machine can answer, so that waiting is what is seen."""
SIGN_INS_A_MINUTE = 1000
SIGNED_IN, BYPASSED = "one.lab.localhost", "open.lab.localhost"
BODY = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Figure:
    """One measured figure; `ratio` to the one that `note` names. `value` None: not measured here."""

    name: str
    unit: str
    value: float | None
    ratio: float | None = None
    note: str = ""


class FastApp(asyncio.Protocol):
    """Answers every request with the same few bytes: what is measured is not the app."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(BODY * data.count(b"\r\n\r\n"))  # type: ignore[attr-defined]


async def serve(port: int) -> None:
    """Serve the fast app until killed."""
    server = await asyncio.get_running_loop().create_server(FastApp, "127.0.0.1", port)
    await server.serve_forever()


def wrk(port: int, host: str, cookie: str, seconds: int) -> float:
    """Requests a second that were answered 2xx; raises where others were not."""
    headers = ["-H", f"Host: {host}", *(["-H", f"Cookie: {cookie}"] if cookie else [])]
    argv = ["wrk", "-t2", "-c32", f"-d{seconds}s", *headers, f"https://127.0.0.1:{port}/"]
    told = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in told:
        raise RuntimeError(told)
    found = re.search(r"Requests/sec:\s+([0-9.]+)", told)
    assert found is not None, told
    return float(found[1])


def routes(front: Front, seconds: int) -> Iterator[Figure]:
    """Plain, signed in, bypassed: in turns, so that what else the machine does hits all alike."""
    cookie = front.engine.sign_in("carol", 1)
    ports = front.traefik.ports
    asked = {
        "plain route": (ports.plain, SIGNED_IN, ""),
        "signed in": (ports.websecure, SIGNED_IN, cookie),
        "bypassed": (ports.websecure, BYPASSED, ""),
    }
    found: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(ROUNDS):
        for name, (port, host, sent) in asked.items():
            found[name].append(wrk(port, host, sent, seconds))
    plain = statistics.median(found["plain route"])
    for name, values in found.items():
        median = statistics.median(values)
        spread = f"{ROUNDS} rounds, {min(values):.0f} to {max(values):.0f}; ratio to the plain route"
        yield Figure(f"{front.engine.name}: {name}", "requests/s", median, median / plain, spread)


async def visits(front: Front, cookies: list[str], seconds: float) -> list[float]:
    """How long each page took (s) that these people asked for, each in their own time."""
    took: list[float] = []

    async def visit(number: int, cookie: str) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time() + number / PEOPLE / ASKS_A_SECOND
        connector = aiohttp.TCPConnector(ssl=False, limit=1)
        async with aiohttp.ClientSession(connector=connector) as session:
            for turn in range(int(seconds * ASKS_A_SECOND)):
                await asyncio.sleep(max(0.0, begin + turn / ASKS_A_SECOND - loop.time()))
                asked = loop.time()
                headers = {"Host": SIGNED_IN, "Cookie": cookie}
                async with session.get(f"https://127.0.0.1:{front.client.port}/", headers=headers) as answer:
                    assert answer.status == 200, answer.status
                    await answer.read()
                took.append(loop.time() - asked)

    await asyncio.gather(*(visit(number, cookie) for number, cookie in enumerate(cookies)))
    return took


def flood(port: int, forms: list[tuple[str, dict[str, str]]], seconds: float, told: Any) -> None:
    """In a process of its own: sign in as often as told, each time from another address."""
    told.put(uvloop.run(_flood(port, forms, seconds)))


async def _flood(port: int, forms: list[tuple[str, dict[str, str]]], seconds: float) -> dict[int, int]:
    statuses: dict[int, int] = {}
    pause = 60 / SIGN_INS_A_MINUTE
    users = [user for user in LAB["passwords"] if not LAB["people"]["users"][user]["disabled"]]

    async def sign_in(number: int) -> None:
        cookie, fields = forms[number % len(forms)]
        user = users[number % len(users)]
        body = urlencode(fields | {"user": user, "password": LAB["passwords"][user]})
        address = f"127.1.{number // 250 % 250}.{1 + number % 250}"
        connector = aiohttp.TCPConnector(ssl=False, local_addr=(address, 0))
        headers = {"Host": "auth.lab.localhost", "Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post(f"https://127.0.0.1:{port}/", data=body, headers=headers, allow_redirects=False) as answer,
        ):
            statuses[answer.status] = statuses.get(answer.status, 0) + 1

    loop = asyncio.get_running_loop()
    begin, running = loop.time(), []
    for number in range(int(seconds / pause)):
        await asyncio.sleep(max(0.0, begin + number * pause - loop.time()))
        running.append(asyncio.create_task(sign_in(number)))
    await asyncio.gather(*running)
    return statuses


def sign_in_forms(front: Front) -> list[tuple[str, dict[str, str]]]:
    """Some browsers' cookies and the forms that they have open."""
    found = []
    for number in range(20):
        browser = front.browser(f"127.2.0.{1 + number}")
        fields = form_of(browser.get("/"), "/").fields
        found.append(("; ".join(f"{name}={value}" for name, value in browser.cookies.items()), fields))
    return found


def beside_a_flood(front: Front, gate: Gate, seconds: float) -> Iterator[Figure]:
    """What signed-in people wait, without and with many others signing in."""
    cookies = [gate.identity() for _ in range(PEOPLE)]
    uvloop.run(visits(front, cookies, 2))
    calm = uvloop.run(visits(front, cookies, seconds))
    told: Any = multiprocessing.get_context("spawn").SimpleQueue()
    arguments = (front.client.port, sign_in_forms(front), seconds, told)
    flooding = multiprocessing.get_context("spawn").Process(target=flood, args=arguments, daemon=True)
    flooding.start()
    time.sleep(1.5)
    beside = uvloop.run(visits(front, cookies, max(2.0, seconds - 3)))
    statuses = told.get()
    flooding.join()
    answered = ", ".join(f"{count} times {status}" for status, count in sorted(statuses.items()))
    for name, share in (("p50", 0.50), ("p99", 0.99)):
        without = _quantile(calm, share)
        yield Figure(f"{PEOPLE} signed-in people: {name}", "ms", without * 1000, None, f"{len(calm)} pages")
        found = _quantile(beside, share)
        note = f"{SIGN_INS_A_MINUTE} sign-ins a minute: {answered}; ratio to without"
        yield Figure(f"the same beside sign-ins: {name}", "ms", found * 1000, found / without, note)


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def memory(gate: Gate, when: str) -> Iterator[Figure]:
    """What the gate's process holds."""
    assert gate.program is not None
    status = Path(f"/proc/{gate.program.pid}/status").read_text(encoding="ascii")
    for name, field in (("resident", "VmRSS"), ("anonymous", "RssAnon")):
        value = int(status.partition(f"{field}:")[2].split()[0]) * 1024 / 1e6
        yield Figure(f"the gate {when}: {name} memory", "MB", value)


def front_of(folder: Path, engine: Engine, app: str) -> Front:
    """A front in a folder of its own."""
    folder.mkdir()
    return Front(folder, engine, LAB["policy"], LAB["people"], LAB["passwords"], app)


def measure(folder: Path, seconds: int) -> Iterator[Figure]:
    """All figures."""
    port = free_port()
    fast = Program("the fast app", [sys.executable, __file__, "--serve", str(port)], folder / "fast.log")
    fast.wait_until(lambda: listens(port))
    app = f"http://127.0.0.1:{port}"
    try:
        gate = Gate()
        with front_of(folder / "gate", gate, app) as front:
            # Passwords were set, which leaves a mark on the process: at rest means as a server starts it.
            gate.stop()
            gate.run()
            time.sleep(2)
            yield from memory(gate, "at rest")
            yield from routes(front, seconds)
            yield from beside_a_flood(front, gate, max(10, 6 * seconds))
            yield from memory(gate, "afterwards")
        yield from beside_authelia(folder / "authelia", app, seconds)
    finally:
        fast.stop()


def beside_authelia(folder: Path, app: str, seconds: int) -> Iterator[Figure]:
    """The same routes behind the Authelia that EZ_TEST_AUTHELIA names."""
    program = os.environ.get("EZ_TEST_AUTHELIA")
    if not program:
        yield Figure("authelia: signed in", "requests/s", None, None, "EZ_TEST_AUTHELIA names no executable")
        return
    from ez_homelab.testing.front.authelia import Authelia

    with front_of(folder, Authelia(program), app) as front:
        yield from routes(front, seconds)


def main() -> None:
    """Measure and print; a figure is for people to judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--seconds", type=int, default=8, help="of each run of wrk (default 8)")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        uvloop.run(serve(arguments.serve))
        return
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory(prefix="ez-sign-on-") as folder:
        figures = list(measure(Path(folder), arguments.seconds))
    if arguments.json:
        print(json.dumps({"figures": [asdict(figure) for figure in figures]}, indent=2))
        return
    for figure in figures:
        value = "not measured" if figure.value is None else f"{figure.value:.1f} {figure.unit}"
        ratio = "-" if figure.ratio is None else f"{figure.ratio:.2f}"
        print(f"{figure.name:<38} {value:>18}  ratio {ratio:>5}  {figure.note}")


if __name__ == "__main__":
    main()
