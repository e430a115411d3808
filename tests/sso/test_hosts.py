"""Which host is asked for: whatever a request says in several places, the gate and the app go by the same one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sso_lab import outside

if TYPE_CHECKING:
    from ez_homelab.testing.front import Answer, Front

CLOSED, OPEN = "one.lab.localhost", "open.lab.localhost"
PATHS_OPEN = "native.lab.localhost"

# Request line and headers as sent, and what may answer; "app" is the app, seen with an open host only.
SPELLINGS = {
    "upper case": ("GET / HTTP/1.1\r\nHost: ONE.LAB.LOCALHOST", {302}),
    "upper case of an open host": ("GET / HTTP/1.1\r\nHost: OPEN.Lab.LocalHost", {200}),
    "trailing dot": (f"GET / HTTP/1.1\r\nHost: {CLOSED}.", {302, 400, 404}),
    "two trailing dots": (f"GET / HTTP/1.1\r\nHost: {CLOSED}..", {302, 400, 404}),
    "port": (f"GET / HTTP/1.1\r\nHost: {CLOSED}:443", {302}),
    "another port": (f"GET / HTTP/1.1\r\nHost: {CLOSED}:8443", {302}),
    "port and trailing dot": (f"GET / HTTP/1.1\r\nHost: {CLOSED}.:443", {302, 400, 404}),
    "two ports": (f"GET / HTTP/1.1\r\nHost: {CLOSED}:443:443", {400, 404}),
    "a port that is none": (f"GET / HTTP/1.1\r\nHost: {CLOSED}:open.lab.localhost", {400, 404}),
    "an empty host": ("GET / HTTP/1.1\r\nHost: ", {400, 404}),
    "no host": ("GET / HTTP/1.1", {400}),
    "no host in HTTP/1.0": ("GET / HTTP/1.0", {302, 400, 404}),
    "a second host": (f"GET / HTTP/1.1\r\nHost: {CLOSED}\r\nHost: {OPEN}", {400}),
    "a second host, open first": (f"GET / HTTP/1.1\r\nHost: {OPEN}\r\nHost: {CLOSED}", {400}),
    "two hosts in one header": (f"GET / HTTP/1.1\r\nHost: {CLOSED}, {OPEN}", {400, 404}),
    "a host with a space": (f"GET / HTTP/1.1\r\nHost: {CLOSED} {OPEN}", {400, 404}),
    "a host with a path": (f"GET / HTTP/1.1\r\nHost: {OPEN}/../{CLOSED}", {400, 404}),
    "a host with user information": (f"GET / HTTP/1.1\r\nHost: {OPEN}@{CLOSED}", {400, 404}),
    "a host with an underscore": ("GET / HTTP/1.1\r\nHost: open_.lab.localhost", {302, 400}),
    "a host with an encoded dot": ("GET / HTTP/1.1\r\nHost: open%2elab.localhost", {400}),
    "an address as host": ("GET / HTTP/1.1\r\nHost: 127.0.0.1", {400}),
    "a line folded host": (f"GET / HTTP/1.1\r\nHost: {CLOSED}\r\n {OPEN}", {302, 400, 404}),
    "absolute form of a closed host": (f"GET https://{CLOSED}/ HTTP/1.1\r\nHost: {OPEN}", {302}),
    "absolute form of an open host": (f"GET https://{OPEN}/ HTTP/1.1\r\nHost: {CLOSED}", {200}),
    "absolute form with http": (f"GET http://{CLOSED}/ HTTP/1.1\r\nHost: {OPEN}", {302, 400}),
    "absolute form with user information": (f"GET https://{OPEN}@{CLOSED}/ HTTP/1.1\r\nHost: {OPEN}", {302, 400}),
    "absolute form to a bypass path": (f"GET https://{PATHS_OPEN}/private HTTP/1.1\r\nHost: {OPEN}", {302}),
    "scheme-relative target": (f"GET //{PATHS_OPEN}/health HTTP/1.1\r\nHost: {PATHS_OPEN}", {302, 400}),
    "asterisk form": (f"OPTIONS * HTTP/1.1\r\nHost: {CLOSED}", {200, 302, 400, 404}),
    "authority form": (f"CONNECT {CLOSED}:443 HTTP/1.1\r\nHost: {CLOSED}", {302, 303, 400, 404, 405, 501}),
    "a method nobody knows": (f"BREW / HTTP/1.1\r\nHost: {CLOSED}", {303, 405}),
    "a method in lower case": (f"get / HTTP/1.1\r\nHost: {CLOSED}", {302, 303, 400}),
    "TRACE": (f"TRACE / HTTP/1.1\r\nHost: {CLOSED}", {303, 405}),
}


def check_app_saw_what_is_open(answer: Answer) -> None:
    """Where the app answered somebody without a session, it was asked as an open host, or for an open path."""
    if answer.seen is None:
        return
    host = (answer.seen.header("Host") or "").lower().rstrip(".").removesuffix(":443")
    path = answer.seen.target.partition("?")[0]
    if host == PATHS_OPEN:
        assert path == "/health" or (path.startswith("/api/") and not set(path) & set("%;\\#"))
        assert not {".", ".."} & set(path.split("/"))
    else:
        assert host == OPEN, answer.seen


@pytest.mark.parametrize("name", SPELLINGS)
def test_host(front: Front, name: str) -> None:
    head, statuses = SPELLINGS[name]
    before = front.asked()
    request = f"{head}\r\nAccept: text/html\r\nConnection: close\r\n\r\n".encode()
    answer = front.client.send(request, OPEN, outside())
    assert answer.status in statuses, answer
    if "200" in str(answer.status) and answer.seen is not None:
        check_app_saw_what_is_open(answer)
    else:
        assert front.asked() == before, answer


def test_the_name_in_the_tls_handshake_decides_nothing(front: Front) -> None:
    request = f"GET / HTTP/1.1\r\nHost: {CLOSED}\r\nAccept: text/html\r\nConnection: close\r\n\r\n".encode()
    answer = front.client.send(request, OPEN, outside())
    assert answer.status in (302, 421)
    assert answer.seen is None


def test_a_second_request_on_a_connection_is_asked_about_like_the_first(front: Front) -> None:
    with front.client.connect(OPEN, outside()) as connection:
        first = f"GET / HTTP/1.1\r\nHost: {OPEN}\r\n\r\n".encode()
        second = f"GET / HTTP/1.1\r\nHost: {CLOSED}\r\nAccept: text/html\r\nConnection: close\r\n\r\n".encode()
        connection.sendall(first + second)
        told = b""
        while got := connection.recv(65536):
            told += got
    assert told.count(b"HTTP/1.1 200 ") == 1
    assert told.count(b"HTTP/1.1 302 ") == 1


SMUGGLED = f"GET / HTTP/1.1\r\nHost: {CLOSED}\r\nAccept: text/html\r\nX-Smuggled: yes\r\n\r\n"
LENGTHS = {
    "two lengths": "Content-Length: 0\r\nContent-Length: {length}",
    "length and chunks": "Content-Length: {length}\r\nTransfer-Encoding: chunked",
    "chunks by another spelling": "Content-Length: {length}\r\nTransfer-Encoding: xchunked",
    "chunks with a tab": "Content-Length: {length}\r\nTransfer-Encoding:\tchunked",
    "length with a sign": "Content-Length: +{length}",
    "space before the colon": "Content-Length : {length}",
}


@pytest.mark.parametrize("name", LENGTHS)
def test_no_request_is_smuggled_behind_another(front: Front, name: str) -> None:
    """The app may see one request at most, and never the one in the body."""
    lengths = LENGTHS[name].format(length=len(SMUGGLED) + 5)
    head = f"POST / HTTP/1.1\r\nHost: {OPEN}\r\n{lengths}\r\n\r\n"
    before = front.asked()
    with front.client.connect(OPEN, outside(), seconds=1) as connection:
        connection.sendall(f"{head}0\r\n\r\n{SMUGGLED}".encode())
        told = b""
        try:
            while got := connection.recv(65536):
                told += got
        except TimeoutError:
            pass
    assert front.asked() - before <= 1
    assert b"X-Smuggled" not in told


PIECES = [
    "/",
    "//",
    "api",
    "health",
    "private",
    "..",
    ".",
    "%2e",
    "%2E%2e",
    "%2f",
    "%5c",
    "\\",
    ";",
    ";x",
    "?",
    "#",
    "%00",
]
PIECES += ["%252e", "%23", "%3f", "API", "Health", "@", ":", "*", "%", "%zz", "~", "&", "=", "-", "\x7f", "\xe9"]


@settings(max_examples=100, suppress_health_check=list(HealthCheck), deadline=None)
@given(pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=7))
def test_no_spelling_of_a_path_shows_an_app_what_is_not_open(front: Front, pieces: list[str]) -> None:
    target = "/" + "".join(pieces)
    answer = front.client.ask("GET", f"https://{PATHS_OPEN}{target}", address="127.0.9.9")
    assert answer.status in (200, 301, 302, 400, 404), answer
    check_app_saw_what_is_open(answer)
