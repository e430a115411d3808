"""Asking a web server of this machine whether it is a registry."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from ez_homelab.images.registry import registry_answers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def registry() -> Iterator[tuple[str, list[int]]]:
    """A web server on this machine that answers with the status in the list."""
    status = [200]

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v2/", status
        server.shutdown()


@pytest.mark.parametrize(("code", "answers"), [(200, True), (401, True), (403, False), (503, False)])
async def test_registry_answers(registry: tuple[str, list[int]], code: int, answers: bool) -> None:
    address, status = registry
    status[0] = code
    assert await registry_answers(address) is answers


async def test_no_registry_is_no_answer() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert await registry_answers(f"http://127.0.0.1:{unused.getsockname()[1]}/v2/") is False
