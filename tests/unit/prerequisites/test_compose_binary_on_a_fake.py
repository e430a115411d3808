"""Fetching Compose from a real HTTP server on this machine: only the program that was meant gets through."""

from __future__ import annotations

import hashlib
import http.server
import io
import tarfile
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ez_homelab.errors import PrerequisiteError
from ez_homelab.prerequisites import compose_binary
from ez_homelab.prerequisites.compose_binary import fetch, install_compose
from ez_homelab.prerequisites.compose_release import PLUGIN_PATH, RELEASES, Release
from ez_homelab.testing.fake_host import FakeHost

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = b"\x7fELF the program"
MEMBER = "compose-1/docker-compose"


def archive(*entries: tuple[str, bytes], link: str = "") -> bytes:
    """A gzipped tar archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as opened:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            opened.addfile(entry, io.BytesIO(content))
        if link:
            entry = tarfile.TarInfo(MEMBER)
            entry.type, entry.linkname = tarfile.SYMTYPE, link
            opened.addfile(entry)
    return stream.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


SERVED = {
    "/good.tar.gz": archive(("compose-1/LICENSE", b"text"), (MEMBER, PROGRAM)),
    "/link.tar.gz": archive(link="/etc/passwd"),
    "/without.tar.gz": archive(("compose-1/LICENSE", b"text")),
    "/cut.tar.gz": archive((MEMBER, PROGRAM * 1000))[:60],
    "/program": PROGRAM,
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = SERVED.get(self.path)
        self.send_response(200 if content is not None else 403)
        self.end_headers()
        self.wfile.write(content or b"the proxy says no")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def release(server: str, path: str, *, member: str = MEMBER) -> Release:
    """A release of what the server really has there."""
    return Release(server + path, sha256(SERVED.get(path, b"")), sha256(PROGRAM), 1, member)


async def test_the_one_member_of_an_archive(server: str) -> None:
    assert await fetch(release(server, "/good.tar.gz")) == PROGRAM


async def test_a_program_that_is_not_packed(server: str) -> None:
    assert await fetch(release(server, "/program", member="")) == PROGRAM


@pytest.mark.parametrize("path", ["/link.tar.gz", "/without.tar.gz", "/cut.tar.gz"])
async def test_an_archive_that_does_not_hold_it(server: str, path: str) -> None:
    with pytest.raises(PrerequisiteError, match="not the Docker Compose that was meant"):
        await fetch(release(server, path))


@pytest.mark.parametrize("field", ["sha256", "program_sha256"])
async def test_another_file_than_was_meant(server: str, field: str) -> None:
    good = release(server, "/good.tar.gz")
    wanted = replace(good, sha256="0" * 64) if field == "sha256" else replace(good, program_sha256="0" * 64)
    with pytest.raises(PrerequisiteError, match="not the Docker Compose that was meant") as raised:
        await fetch(wanted)
    assert "SHA-256" in raised.value.evidence


async def test_a_proxy_that_says_no(server: str) -> None:
    with pytest.raises(PrerequisiteError, match="could not be fetched") as raised:
        await fetch(release(server, "/nothing"))
    assert "403" in raised.value.evidence
    assert PLUGIN_PATH in raised.value.fix


async def test_no_network() -> None:
    with pytest.raises(PrerequisiteError, match="could not be fetched"):
        await fetch(Release("http://127.0.0.1:9/program", "0" * 64, "0" * 64, 1))


async def test_more_than_anybody_would_send(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose_binary, "MOST_BYTES", 5)
    with pytest.raises(PrerequisiteError, match="not the Docker Compose that was meant"):
        await fetch(release(server, "/program", member=""))


async def test_installed_where_docker_looks_and_runnable(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RELEASES, "amd64", release(server, "/good.tar.gz"))
    host = FakeHost()
    await install_compose(host, "amd64", print)
    state = (await host.states([PLUGIN_PATH]))[PLUGIN_PATH]
    assert state is not None
    assert (state.sha256, state.mode) == (sha256(PROGRAM), 0o755)


async def test_nothing_is_written_where_it_could_not_be_fetched(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RELEASES, "amd64", release(server, "/nothing"))
    host = FakeHost()
    with pytest.raises(PrerequisiteError):
        await install_compose(host, "amd64", print)
    assert host.files == {}
