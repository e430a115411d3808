"""Too much, too long, too slow: what it gets is a refusal, and everybody else goes on."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sso_lab import outside

from ez_homelab.testing.front import plain_ask
from ez_homelab.testing.front.client import exchange, read_answer

if TYPE_CHECKING:
    from ez_homelab.testing.front import Front
    from ez_homelab.testing.front.gate import Gate

HOST = "auth.lab.localhost"
PORTAL = f"https://{HOST}"
PAGE = "https://one.lab.localhost/"
FORM = [("Content-Type", "application/x-www-form-urlencoded"), ("Origin", PORTAL)]
SLOW = 200
"""Connections that say next to nothing."""


def alive(front: Front) -> bool:
    """The portal and the door answer as ever."""
    return front.browser(outside()).get("/").status == 200 and front.client.ask("GET", PAGE).status == 302


@pytest.mark.parametrize("size", [70_000, 5_000_000])
def test_a_large_form_is_refused(front: Front, size: int) -> None:
    browser = front.browser(outside())
    browser.get("/")
    assert browser.ask("POST", "/", FORM, b"csrf=" + b"A" * size).status in (0, 400, 403, 413)
    assert alive(front)


def test_a_large_form_in_chunks_is_refused(front: Front) -> None:
    browser = front.browser(outside())
    browser.get("/")
    chunk = b"10000\r\n" + b"A" * 65536 + b"\r\n"
    headers = [*FORM, ("Transfer-Encoding", "chunked")]
    assert browser.ask("POST", "/", headers, chunk * 40 + b"0\r\n\r\n").status in (0, 400, 403, 413)
    assert alive(front)


def test_a_form_with_many_fields_is_refused(front: Front) -> None:
    browser = front.browser(outside())
    browser.get("/")
    body = "&".join(f"a{number}=" for number in range(5000)).encode()
    assert browser.ask("POST", "/", FORM, body).status in (400, 403, 413)


@pytest.mark.parametrize("length", [2_000, 1_000_000])
def test_a_long_password_costs_no_more_than_any(front: Front, length: int) -> None:
    assert front.browser(outside()).sign_in("carol", "a" * length).status in (0, 400, 401, 403, 413)
    assert alive(front)


@pytest.mark.parametrize("url", [PAGE, "https://open.lab.localhost/", f"{PORTAL}/"])
@pytest.mark.parametrize(
    "header", [("Cookie", "a=" + "b" * 100_000), ("X-Long", "b" * 100_000), ("Cookie", "ez_session=x; " * 6000)]
)
def test_large_headers_open_nothing(front: Front, url: str, header: tuple[str, str]) -> None:
    before = front.asked()
    answer = front.client.ask("GET", url, [header], address=outside())
    assert answer.status in (302, 400, 413, 431, 500, 502)
    assert front.asked() == before
    assert alive(front)


@pytest.mark.parametrize("url", [PAGE, f"{PORTAL}/"])
def test_many_headers_open_nothing(front: Front, url: str) -> None:
    before = front.asked()
    answer = front.client.ask("GET", url, [(f"X-Header-{number}", "x") for number in range(2000)], address=outside())
    assert answer.status in (200, 302, 400, 431, 500, 502)
    assert front.asked() == before
    assert alive(front)


@pytest.mark.parametrize("size", [4_000, 7_000])
def test_cookies_as_large_as_browsers_keep_them_do_not_lock_anybody_out(front: Front, gate: Gate, size: int) -> None:
    """A cookie may have 4096 bytes (RFC 6265, 6.1), and a domain has several."""
    identity = gate.identity()
    answer = front.client.ask("GET", PAGE, [("Cookie", f"a={'b' * size}; {identity}; c=d")])
    assert answer.seen is not None, answer
    assert answer.seen.header("Cookie") == f"a={'b' * size}; c=d"


def test_a_long_address_is_led_to_the_portal_or_refused(front: Front) -> None:
    for length in (1_000, 7_000, 60_000):
        assert front.client.ask("GET", PAGE + "a" * length, address=outside()).status in (302, 400, 414, 431, 500, 502)
    assert alive(front)


def test_a_large_upload_reaches_the_app_of_who_is_signed_in(front: Front, gate: Gate) -> None:
    """What an app is sent never passes the gate, so its limits are none of the app's."""
    answer = front.client.ask("POST", f"{PAGE}upload", [("Cookie", gate.identity())], body=b"a" * 5_000_000)
    assert answer.status == 200
    assert '"body": 5000000' in answer.text


def test_a_large_upload_of_nobody_reaches_no_app(front: Front) -> None:
    before = front.asked()
    assert front.client.ask("POST", f"{PAGE}upload", body=b"a" * 5_000_000, address=outside()).status in (0, 303)
    assert front.asked() == before


def test_slow_senders_stop_nobody(front: Front, gate: Gate) -> None:
    """On both ports of the gate, around Traefik: headers that never end, and forms that never come."""
    started = b"POST / HTTP/1.1\r\nHost: auth.lab.localhost\r\nX-Slow: "
    waiting = started + b"x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ncsrf="
    with ExitStack() as kept:
        for number in range(SLOW):
            port = gate.portal_port if number % 2 else gate.authorize_port
            connection = kept.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            connection.sendall(started if number % 4 < 2 else waiting)
        for _ in range(10):
            assert alive(front)
        assert front.browser(outside()).sign_in("carol", "correct-horse-battery-3").status == 303


def test_what_never_comes_to_its_end_is_given_up(front: Front, gate: Gate) -> None:
    """A form, with the cookie that it needs for the gate to wait for it at all, and a question at the door."""
    browser = front.browser(outside())
    browser.get("/")
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    head = (
        f"POST / HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookies}\r\nOrigin: {PORTAL}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ncsrf="
    )
    question = "GET /api/authz/forward-auth HTTP/1.1\r\nX-Slow: "
    with ExitStack() as kept:
        connections = []
        for port, sent in ((gate.portal_port, head), (gate.authorize_port, question)):
            connections.append(kept.enter_context(socket.create_connection(("127.0.0.1", port), 40)))
            connections[-1].sendall(sent.encode())
        for connection in connections:
            assert read_answer(connection).status in (0, 408)


def test_bytes_that_are_no_http_are_refused(gate: Gate, front: Front) -> None:
    for port in (gate.portal_port, gate.authorize_port):
        for sent in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", b"\x00" * 5000 + b"\r\n\r\n", b"GET\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port), 10) as connection:
                assert exchange(connection, sent).status in (0, 400)
    assert alive(front)


def test_a_flood_of_sign_ins_leaves_signed_in_people_alone(front: Front, gate: Gate) -> None:
    """Every answer to somebody signed in is their page, while more sign in than can be checked."""
    identity = gate.identity()
    browsers = [front.browser(outside()) for _ in range(30)]
    for browser in browsers:
        browser.get("/")
    with ThreadPoolExecutor(20) as threads:
        flood = [threads.submit(browser.sign_in, "nobody", "wrong-password") for browser in browsers]
        answers = [front.client.ask("GET", PAGE, [("Cookie", identity)]).status for _ in range(50)]
        statuses = {one.result().status for one in flood}
    assert set(answers) == {200}
    assert statuses <= {401, 403, 429, 503}


def test_the_gate_says_nothing_about_itself_to_who_asks_for_what_is_not_there(gate: Gate) -> None:
    for port in (gate.portal_port, gate.authorize_port):
        answer = plain_ask(port, "GET", "/%00", [("Host", HOST)])
        told = answer.text.lower() + str(answer.headers).lower()
        assert not [word for word in ("traceback", "aiohttp", "python", "/work", "site-packages") if word in told]


def test_after_all_of_that_little_memory_is_held(gate: Gate) -> None:
    assert gate.program is not None
    status = Path(f"/proc/{gate.program.pid}/status").read_text()
    resident = int(status.partition("VmRSS:")[2].split()[0])
    assert resident < 250_000, f"{resident} kB"
