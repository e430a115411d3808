"""What a program on the gate's own network could try: straight to its ports, around Traefik."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from ez_homelab.testing.front import plain_ask

if TYPE_CHECKING:
    from ez_homelab.testing.front import Answer, Front
    from ez_homelab.testing.front.gate import Gate

QUESTION = "/api/authz/forward-auth"
FORGED = [("Remote-User", "anna"), ("Remote-Groups", "admins"), ("Remote_User", "anna"), ("Remote.User", "anna")]
ASKED = {
    "X-Forwarded-Method": "GET",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "one.lab.localhost",
    "X-Forwarded-Uri": "/",
    "X-Forwarded-For": "127.0.1.1",
}


def question(gate: Gate, *more: tuple[str, str], method: str = "GET", **changed: str | None) -> Answer:
    """Ask the door as Traefik does; `changed` by the last word of a header's name, None leaves it out."""
    headers = {name: changed.get(name.rpartition("-")[2].lower(), value) for name, value in ASKED.items()}
    told = [(name, value) for name, value in headers.items() if value is not None]
    return plain_ask(gate.authorize_port, method, QUESTION, [*told, *more])


def identity_of(answer: Answer) -> list[str]:
    return [name for name, _ in answer.headers if name.startswith("remote")]


def test_a_forged_identity_at_the_portals_port_signs_nobody_in(gate: Gate) -> None:
    told = [("Host", "auth.lab.localhost"), *FORGED]
    assert plain_ask(gate.portal_port, "GET", "/account", told).status in (302, 303)
    answer = plain_ask(gate.portal_port, "GET", "/", told)
    assert answer.status == 200
    assert 'name="password"' in answer.text


def test_a_forged_identity_at_the_doors_port_comes_back_in_no_answer(gate: Gate) -> None:
    for host in ("one.lab.localhost", "open.lab.localhost", "auth.lab.localhost"):
        assert identity_of(question(gate, *FORGED, host=host)) == []
    assert question(gate, *FORGED).status == 302


@pytest.mark.parametrize(
    "path", ["/", "/account", "/api/health", "/api/authz", "/api/verify", "/static/gate.css", "/x"]
)
def test_nothing_else_answers_at_the_doors_port(gate: Gate, path: str) -> None:
    for method in ("GET", "POST"):
        assert plain_ask(gate.authorize_port, method, path, ASKED).status == 404


@pytest.mark.parametrize(
    "path", [QUESTION, "/api/authz/ext-authz", "/admin", "/metrics", "/.git/config", "/../data/gate.db"]
)
def test_the_portal_answers_no_question_of_the_door(gate: Gate, path: str) -> None:
    told = [("Host", "auth.lab.localhost"), *ASKED.items()]
    assert plain_ask(gate.portal_port, "GET", path, told).status in (400, 404)


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static//etc/passwd"]
)
def test_static_files_are_the_portals_own_only(gate: Gate, path: str) -> None:
    assert plain_ask(gate.portal_port, "GET", path, [("Host", "auth.lab.localhost")]).status in (400, 404)


@pytest.mark.parametrize("host", ["evil.example.org", "one.lab.localhost", "127.0.0.1", "auth.lab.localhost.evil.org"])
def test_the_portal_answers_under_its_own_name_only(gate: Gate, host: str) -> None:
    """What another name leads to (DNS rebinding, a poisoned cache) is no page of the portal."""
    assert plain_ask(gate.portal_port, "GET", "/", [("Host", host)]).status in (400, 421)


@pytest.mark.parametrize("missing", ["method", "proto", "host", "uri"])
def test_a_question_without_one_of_its_parts_is_refused(gate: Gate, missing: str) -> None:
    assert question(gate, **{missing: None}).status == 400


@pytest.mark.parametrize(
    "changed",
    [
        {"proto": "http"},
        {"proto": ""},
        {"proto": "https, http"},
        {"host": "example.org"},
        {"host": ""},
        {"host": "evillab.localhost"},
        {"host": "lab.localhost.example.org"},
        {"host": "open.lab.localhost, one.lab.localhost"},
        {"host": "open.lab.localhost/one.lab.localhost"},
        {"host": "open.lab.localhost\\.one.lab.localhost"},
        {"host": "ope\xf1.lab.localhost"},
        {"host": "one.lab.localhost:443:443"},
        {"host": ".lab.localhost"},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(gate: Gate, changed: dict[str, str]) -> None:
    answer = question(gate, **changed)
    assert answer.status in (400, 302), answer
    assert answer.status == 400 or changed["host"] == ".lab.localhost"


@pytest.mark.parametrize(
    "host", ["ONE.LAB.LOCALHOST", "one.lab.localhost.", "one.lab.localhost:443", "One.Lab.Localhost.:8443"]
)
def test_a_host_in_another_spelling_is_the_same_route(gate: Gate, host: str) -> None:
    assert question(gate, host=host).status == 302
    assert question(gate, host=host.lower().replace("one", "closed")).status == 403


def test_two_headers_of_a_question_are_refused_or_the_stricter_counts(gate: Gate) -> None:
    answer = question(gate, ("X-Forwarded-Host", "open.lab.localhost"))
    assert answer.status != 200
    answer = question(gate, ("X-Forwarded-Uri", "/health"), host="native.lab.localhost", uri="/private")
    assert answer.status != 200


def test_an_address_that_is_none_is_not_the_labs_network(gate: Gate) -> None:
    identity = ("Cookie", gate.identity())
    for address in (
        None,
        "",
        "unknown",
        "localhost",
        "127.0.1.1, 127.0.2.1",
        "127.0.2.1, 127.0.1.1",
        "::ffff:127.0.2.1",
    ):
        assert question(gate, identity, host="house.lab.localhost", **{"for": address}).status == 403, address
    assert question(gate, identity, host="house.lab.localhost").status == 200


def test_a_portal_request_keeps_the_session_that_it_needs(front: Front) -> None:
    """The door answers with cleaned cookies for apps; for the portal itself the session has to stay."""
    browser = front.browser("127.0.1.90")
    browser.sign_in("carol", "correct-horse-battery-3")
    assert "Carol" in browser.get("/account").text


def test_the_admin_socket_and_the_data_are_the_owners_only(gate: Gate) -> None:
    assert stat.S_IMODE(gate.socket_path.stat().st_mode) == 0o600
    for path in (gate.folder / "data").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
