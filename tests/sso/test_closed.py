"""The gate stopped or hanging: every route is closed, bypassed ones too, and opens again by itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from ez_homelab.testing.front.browser import form_of
from ez_homelab.testing.front.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ez_homelab.testing.front import Front

URLS = ["https://one.lab.localhost/", "https://open.lab.localhost/", "https://native.lab.localhost/health"]
SOON = 3
LONGEST = 45
"""Traefik waits half a minute for an answer of its forward-auth server."""


@pytest.fixture
def engine(own_front: Front) -> Iterator[Gate]:
    """The gate, running again afterwards."""
    gate = own_front.engine
    assert isinstance(gate, Gate)
    yield gate
    assert gate.program is not None
    if not gate.program.running:
        gate.run()
    gate.program.resume()


def test_while_the_gate_is_stopped_every_route_is_closed(own_front: Front, engine: Gate) -> None:
    identity = engine.identity()
    before = own_front.asked()
    engine.stop()
    for url in URLS:
        answer = own_front.client.ask("GET", url, [("Cookie", identity)], seconds=SOON)
        assert answer.status in (500, 502, 503), url
    assert own_front.client.ask("GET", "https://auth.lab.localhost/", seconds=SOON).status in (500, 502, 503)
    assert own_front.asked() == before
    engine.run()
    assert own_front.client.ask("GET", URLS[0]).status == 302
    assert own_front.client.ask("GET", URLS[1]).status == 200


def test_a_killed_gate_closes_and_keeps_its_sessions(own_front: Front, engine: Gate) -> None:
    browser = own_front.browser("127.0.1.40")
    browser.sign_in("carol", "correct-horse-battery-3")
    assert browser.get(URLS[0]).status == 200
    assert engine.program is not None
    engine.program.kill()
    assert browser.get(URLS[0]).status in (500, 502, 503)
    engine.run()
    assert browser.get(URLS[0]).status == 200


def test_a_one_time_link_that_still_works_stands_in_no_log(own_front: Front, engine: Gate) -> None:
    path = urlsplit(engine.admin(do="invite", user="carol", minutes=5)["link"]).path
    browser = own_front.browser("127.0.1.41")
    fields = form_of(browser.get(path), path).fields
    mistyped = browser.post(path, {**fields, "new_password": "one", "new_password_again": "other"})
    assert engine.program is not None
    engine.program.kill()
    assert browser.get(path).status in (500, 502, 503)
    assert browser.get(f"{URLS[0]}seen-in-the-log").status in (500, 502, 503)
    engine.run()

    assert mistyped.status == 400
    assert browser.get(path).status == 200
    logged = own_front.traefik.program.log.read_bytes() + engine.program_log()
    assert b"seen-in-the-log" in logged
    assert path.rpartition("/")[2].encode() not in logged


def test_while_the_gate_hangs_no_route_opens_and_in_the_end_that_is_an_error(own_front: Front, engine: Gate) -> None:
    cookie = [("Cookie", engine.identity())]
    before = own_front.asked()
    assert engine.program is not None
    engine.program.pause()
    with ThreadPoolExecutor(len(URLS)) as threads:
        answers = threads.map(lambda url: own_front.client.ask("GET", url, cookie, seconds=LONGEST), URLS)
        assert {answer.status for answer in answers} <= {500, 502, 503, 504}
    assert own_front.asked() == before
    engine.program.resume()
    assert own_front.client.ask("GET", URLS[0], cookie).status == 200


def test_what_the_gate_answers_when_it_ends_opens_nothing(own_front: Front, engine: Gate) -> None:
    """Requests that are under way while it is asked to end are answered rightly or not at all."""
    identity = engine.identity()
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(_signed_in_or_not, own_front, identity, number % 2) for number in range(200)]
        engine.stop()
        results = {one.result() for one in asked}
    assert results <= {(True, 200), (True, 500), (True, 502), (False, 302), (False, 500), (False, 502)}, results


def _signed_in_or_not(front: Front, identity: str, number: int) -> tuple[bool, int]:
    cookie = [("Cookie", identity)] if number else []
    return bool(number), front.client.ask("GET", URLS[0], cookie).status
