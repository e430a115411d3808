from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ez_homelab.testing.fleet import fleet

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(fleet.__file__).with_name("forward.py")


@contextmanager
def forwarder_to(port: int) -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        argv = [sys.executable, "-I", "-S", str(SCRIPT), str(listening.fileno()), str(port)]
        with subprocess.Popen(argv, pass_fds=(listening.fileno(),)) as process:
            yield listening.getsockname()
            process.kill()


def test_both_directions_and_their_ends_are_carried() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as target,
        forwarder_to(target.getsockname()[1]) as address,
        socket.create_connection(address, timeout=10) as caller,
    ):
        served, _ = target.accept()
        with served:
            caller.sendall(b"question")
            caller.shutdown(socket.SHUT_WR)
            assert b"".join(iter(lambda: served.recv(100), b"")) == b"question"
            served.sendall(b"answer")
            served.shutdown(socket.SHUT_WR)
            assert b"".join(iter(lambda: caller.recv(100), b"")) == b"answer"


def test_a_port_where_nothing_listens_closes_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with forwarder_to(port) as address, socket.create_connection(address, timeout=10) as caller:
        assert caller.recv(1) == b""
