"""Every case of cases/*.yaml, asked through Traefik of each engine.

A case: `ask` is method and URL, sent as written; `as` a user of lab.yaml (nobody without it) with `factors` (1);
`home` says that the request comes from the lab's network, `handshake` is the name in TLS where it is another. `headers`
are added in their order; a `Cookie` header may hold `{session}`, which stands for the session of `as` and is otherwise
the only cookie. Expected are `status` (one or several), `rd` of a Location to the portal, `location` where it is
another, `app` for what the app sees (a header that is empty counts as none). Without `app` the app must not be reached.
`only` names the one engine that a case is for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from sso_lab import outside

if TYPE_CHECKING:
    from ez_homelab.testing.front import Answer, Front, Seen

HOME = "127.0.1.77"
IDENTITY = ("Remote-User", "Remote-Groups", "Remote-Email", "Remote-Name")
# Cookies that no app may see. Authelia cannot take its own off a request, so the apps behind it see that.
HIDDEN: dict[str, tuple[str, ...]] = {"builtin": ("ez_session", "authelia_session"), "authelia": ()}


def _cases() -> list[Any]:
    """Every case with its file's name in front of its own."""
    found = []
    for path in sorted((Path(__file__).parent / "cases").glob("*.yaml")):
        cases = yaml.safe_load(path.read_text(encoding="utf-8"))
        found.extend(pytest.param(case, id=f"{path.stem}: {case['name']}") for case in cases)
    return found


def _headers(front: Front, case: dict[str, Any]) -> list[tuple[str, str]]:
    headers = [(name, str(value)) for name, value in case.get("headers", [])]
    if "as" not in case:
        return headers
    pair = front.engine.sign_in(case["as"], case.get("factors", 1))
    if not any(name == "Cookie" for name, _ in headers):
        return [*headers, ("Cookie", pair)]
    return [(name, value.replace("{session}", pair) if name == "Cookie" else value) for name, value in headers]


@pytest.mark.parametrize("case", _cases())
def test_case(any_front: Front, case: dict[str, Any]) -> None:
    if case.get("only", any_front.engine.name) != any_front.engine.name:
        pytest.skip(f"{case['only']} only: {case['because']}")
    headers = _headers(any_front, case)
    method, _, url = case["ask"].partition(" ")
    before = any_front.asked()
    body = case.get("body", "").encode()
    address = HOME if case.get("home") else outside()
    server_name = case.get("handshake", "")
    answer = any_front.client.ask(method, url, headers, body=body, address=address, server_name=server_name)
    reached = any_front.asked() - before

    expected = case["status"] if isinstance(case["status"], list) else [case["status"]]
    assert answer.status in expected, answer
    _check_location(answer, case, any_front.portal_host)
    if "app" not in case:
        assert reached == 0, answer
    else:
        assert answer.seen is not None, answer
        _check_seen(answer.seen, case, HIDDEN[any_front.engine.name])


def _check_location(answer: Answer, case: dict[str, Any], portal: str) -> None:
    if "location" in case:
        assert answer.location == case["location"]
    if "rd" not in case:
        return
    parts = urlsplit(answer.location)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", portal, "/")
    assert parse_qs(parts.query) == {"rd": [case["rd"]], "rm": [case["ask"].partition(" ")[0]]}


def _check_seen(seen: Seen, case: dict[str, Any], hidden: tuple[str, ...]) -> None:
    """What the app must see; of identity and sessions it sees nothing that the case does not name."""
    app = case["app"]
    has = {name: str(value) for name, value in app.get("has", {}).items()}
    for name in {*IDENTITY, *has}:
        assert (seen.header(name) or "") == has.get(name, ""), name
        assert len(seen.like(name)) <= 1, name
    for name in app.get("lacks", []):
        assert not [value for _, value in seen.like(name) if value], name
    if "target" in app:
        assert seen.target == app["target"]
    assert not [value for _, value in seen.headers if any(name in value for name in hidden)]
