"""The proof of sign-on, by true HTTPS: each fault that a front door can have is a row that fails."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from https_server import Answered, Site, running

from ez_homelab.route import BypassPath, ContainerTarget, Expectation, Policy, Route, SignOn
from ez_homelab.tls.authority import create_authority
from ez_homelab.verify.dial import dialer
from ez_homelab.verify.sign_on import Visitors, near_misses, prove_sign_on

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import Message
    from pathlib import Path

    from ez_homelab.verify.proof import Check

    Guard = Callable[[str, str, Message], Answered | None]

AUTHORITY = create_authority("lab.localhost", datetime.now(UTC))
HOST, PORTAL = "numbers.lab.localhost", "auth.lab.localhost"
LOGIN = (302, f"https://{PORTAL}/?rd=x")
VISITORS = Visitors("ez_session=full", "ez_session=half", "ez_session=stranger")


def numbers(policy: Policy = "two_factor", *bypass: str) -> Route:
    """An app for admins."""
    sign_on = SignOn(policy, ("admins",), tuple(BypassPath(path, "for a test") for path in bypass))
    target, well = ContainerTarget("numbers", 80), Expectation("/well", (200,))
    return Route("numbers", "Numbers", HOST, "core", "more", target, well, sign_on)


def door(_host: str, path: str, headers: Message) -> Answered | None:
    """A front door as it should be."""
    if path == "/open" or (path.startswith("/below/") and "/../" not in path and "%" not in path):
        return 200
    return {None: LOGIN, VISITORS.full: 200, VISITORS.half: LOGIN, VISITORS.stranger: 403}.get(headers["Cookie"], 403)


async def proven(
    folder: Path, guard: Guard, route: Route, visitors: Visitors | str = VISITORS
) -> dict[str, list[Check]]:
    with running(Site(guard=guard), folder, AUTHORITY) as site:
        async with dialer("127.0.0.1", AUTHORITY.certificate_pem, site.ports) as dial:
            rows = await prove_sign_on(route, dial, PORTAL, visitors)
    return {row.claim: [other for other in rows if other.claim == row.claim] for row in rows}


def failed(rows: dict[str, list[Check]]) -> set[str]:
    return {claim for claim, checks in rows.items() if any(check.state == "failed" for check in checks)}


async def test_a_front_door_as_it_should_be(tmp_path: Path) -> None:
    rows = await proven(tmp_path, door, numbers("two_factor", "/open", "/below/"))
    assert failed(rows) == set()
    assert rows.keys() == {
        *("anonymous is not let in", "forged names are no sign-on", "signed-in gets the app"),
        *("only admins get in", "asks for a second factor"),
        *("/open is open", "near /open is shut", "/below/ is open", "near /below/ is shut"),
    }
    assert rows["anonymous is not let in"][0].evidence == f"302 -> https://{PORTAL}/?rd=x"
    assert rows["signed-in gets the app"][0].evidence == "200 at /well"


FAULTS: dict[str, tuple[dict[str, str | None], Answered, set[str]]] = {
    "stands open": ({}, 200, {"anonymous is not let in", "only admins get in"}),
    "leads elsewhere": ({"cookie": None}, (302, "https://evil.example/?rd=x"), {"anonymous is not let in"}),
    "believes a header": ({"forged": "admins"}, 200, {"forged names are no sign-on"}),
    "lets nobody in": ({}, 403, {"signed-in gets the app", "/open is open"}),
    "forgets groups": ({"cookie": VISITORS.stranger}, 200, {"only admins get in"}),
    "forgets the second factor": ({"cookie": VISITORS.half}, 200, {"asks for a second factor"}),
    "asks at an open path": ({"path": "/open"}, LOGIN, {"/open is open"}),
    "opens what is near": ({"path": "/open;x"}, 200, {"near /open is shut"}),
    "opens what is near and is not there": ({"path": "/openx"}, 404, {"near /open is shut"}),
    "answers with an error": (
        {},
        502,
        {"anonymous is not let in", "signed-in gets the app", "only admins get in", "asks for a second factor"},
    ),
}
"""When the door has the fault (the request's path, cookie, forged name), what it answers then, which rows must fail."""


def but(when: dict[str, str | None], answer: Answered) -> Guard:
    """The same door with one fault."""

    def faulty(host: str, path: str, headers: Message) -> Answered | None:
        asked = {"path": path, "cookie": headers["Cookie"], "forged": headers["Remote-User"]}
        return answer if when.items() <= asked.items() else door(host, path, headers)

    return faulty


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_front_door_that(tmp_path: Path, fault: str) -> None:
    when, answer, faults = FAULTS[fault]
    assert failed(await proven(tmp_path, but(when, answer), numbers("two_factor", "/open"))) >= faults


async def test_where_nobody_may_come_in_not_even_admins_do(tmp_path: Path) -> None:
    def shut(_host: str, _path: str, _headers: Message) -> Answered:
        return 403

    assert failed(await proven(tmp_path, shut, numbers("deny"))) == set()
    assert failed(await proven(tmp_path, door, numbers("deny"))) == {"nobody is let in"}


async def test_without_people_to_sign_in_the_rest_is_still_looked_at(tmp_path: Path) -> None:
    rows = await proven(tmp_path, door, numbers("one_factor", "/open"), "the gate did not answer")
    assert failed(rows) == {"signed-in gets the app"}
    assert rows["signed-in gets the app"][0].evidence == "the gate did not answer"
    assert rows["/open is open"][0].state == "passed"


async def test_no_answer_is_no_open_door_and_no_shut_one(tmp_path: Path) -> None:
    with running(Site(), tmp_path, AUTHORITY) as site:
        ports = dict(site.ports)
    async with dialer("127.0.0.1", AUTHORITY.certificate_pem, ports) as dial:
        rows = await prove_sign_on(numbers("two_factor", "/open"), dial, PORTAL, VISITORS)
    assert [row.claim for row in rows if row.state == "passed"] == []
    assert len(rows) > 5


@pytest.mark.parametrize("path", ["/open", "/below/", "/a/b.json"])
def test_no_near_miss_is_the_path_itself_or_below_it(path: str) -> None:
    for near in near_misses(path):
        assert near != path
        assert not (path.endswith("/") and near.startswith(path) and "%" not in near and "/../" not in near)
