"""What `bench/on_demand.py` runs on the server itself, where no forwarded port stands between it and Traefik.

    python3 on_the_server.py through HOST           a request through Traefik: seconds to the first byte
    python3 on_the_server.py bare CONTAINER PORT    Docker starts it, and it is asked until it answers: the same
    python3 on_the_server.py many HOST COUNT        so many requests at once: seconds and status of each
    python3 on_the_server.py usage CONTAINER...     what each has taken so far: seconds of the CPUs, bytes of memory

Python's standard library alone; JSON comes back. Docker is told through its socket, as `docker start` does.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCKER = "/run/docker.sock"
PATIENCE = 60.0
PAUSE = 0.002
"""Seconds between two attempts to reach what was started."""


class DockersConnection(HTTPConnection):
    """HTTP on Docker's socket."""

    def connect(self) -> None:
        """See `HTTPConnection`."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(DOCKER)


def docker(method: str, target: str) -> Any:
    """What Docker answers. Raises `RuntimeError` where it refuses."""
    connection = DockersConnection("docker", timeout=PATIENCE)
    connection.request(method, target)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status >= 400:
        raise RuntimeError(f"{method} {target}: {content!r}")
    return json.loads(content) if content else None


def context() -> ssl.SSLContext:
    """Trusts everybody: whose certificate it is, is not what is measured."""
    made = ssl.create_default_context()
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made


def first_byte(connection: socket.socket, host: str) -> bytes:
    """Ask for the page, as a program does; what arrives first of the answer, b"" where nothing does."""
    connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n\r\n".encode())
    return connection.recv(65536)


def must_be_fine(answer: bytes) -> None:
    """Raise `RuntimeError` unless it is a 200."""
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"not the app's answer: {answer[:200]!r}")


def through(host: str) -> float:
    """See above."""
    trusting = context()
    began = time.perf_counter()
    with (
        socket.create_connection(("127.0.0.1", 443), PATIENCE) as plain,
        trusting.wrap_socket(plain, server_hostname=host) as connection,
    ):
        answer = first_byte(connection, host)
        took = time.perf_counter() - began
    must_be_fine(answer)
    return took


def bare(container: str, port: int) -> float:
    """See above."""
    began = time.perf_counter()
    docker("POST", f"/containers/{container}/start")
    networks = docker("GET", f"/containers/{container}/json")["NetworkSettings"]["Networks"]
    address = next(iter(networks.values()))["IPAddress"]
    while time.perf_counter() - began < PATIENCE:
        try:
            with socket.create_connection((address, port), PATIENCE) as connection:
                answer = first_byte(connection, address)
                took = time.perf_counter() - began
        except OSError:
            time.sleep(PAUSE)
            continue
        must_be_fine(answer)
        return took
    raise RuntimeError(f"{container} does not answer at {address}:{port}")


async def many(host: str, count: int) -> list[tuple[float, int]]:
    """See above; the time goes until the whole answer is there."""
    trusting = context()
    began = time.perf_counter()

    async def one(number: int) -> tuple[float, int]:
        reader, writer = await asyncio.open_connection("127.0.0.1", 443, ssl=trusting, server_hostname=host)
        writer.write(f"GET /{number} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        content = await reader.read()
        writer.close()
        # Told by the app itself, so that nobody gets what another has asked for.
        right = b"X-App: yes" in content and f'"target": "/{number}"'.encode() in content
        return time.perf_counter() - began, int(content.split(b" ")[1]) if right else 0

    return await asyncio.gather(*map(one, range(count)))


def usage(containers: list[str]) -> dict[str, dict[str, float]]:
    """See above. `cpu` is all that ran in the container, its health checks too; `own` its program's alone."""
    found = {}
    for container in containers:
        first = docker("GET", f"/containers/{container}/json")["State"]["Pid"]
        programs = [*with_children(first)]
        found[container] = {
            "cpu": seconds_of_group(first),
            "own": sum(map(seconds_of, programs)),
            "anonymous": sum(memory_of(program, "RssAnon") for program in programs),
            "resident": sum(memory_of(program, "VmRSS") for program in programs),
        }
    return found


def seconds_of_group(program: int) -> float:
    """Seconds of the CPUs that all have taken which ran in the process's control group (cgroups(7), both versions)."""
    for line in Path(f"/proc/{program}/cgroup").read_text(encoding="ascii").splitlines():
        _, controllers, path = line.split(":", 2)
        if "cpuacct" in controllers.split(","):
            return int(Path(f"/sys/fs/cgroup/cpuacct{path}/cpuacct.usage").read_text(encoding="ascii")) / 1e9
        figures = Path(f"/sys/fs/cgroup{path}/cpu.stat")
        if not controllers and figures.exists():
            return int(figures.read_text(encoding="ascii").partition("usage_usec")[2].split()[0]) / 1e6
    raise RuntimeError(f"no control group tells of the CPUs' time of process {program}")


def with_children(program: int) -> Iterator[int]:
    """The process and all that it has started. A health check is none of them: Docker starts it."""
    yield program
    for child in Path(f"/proc/{program}/task/{program}/children").read_text(encoding="ascii").split():
        yield from with_children(int(child))


def seconds_of(program: int) -> float:
    """Seconds of the CPUs that a process has taken (proc(5), /proc/PID/stat)."""
    fields = Path(f"/proc/{program}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(program: int, field: str) -> int:
    """Bytes that a process holds (proc(5), /proc/PID/status)."""
    status = Path(f"/proc/{program}/status").read_text(encoding="ascii")
    return int(status.partition(f"{field}:")[2].split()[0]) * 1024


def main(what: str, name: str, *more: str) -> None:
    """Do it and print it."""
    if what == "through":
        told: Any = through(name)
    elif what == "bare":
        told = bare(name, int(more[0]))
    elif what == "many":
        told = asyncio.run(many(name, int(more[0])))
    else:
        told = usage([name, *more])
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
