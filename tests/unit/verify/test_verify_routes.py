"""The proof of a route, by true HTTPS to a true server on 127.0.0.1."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from https_server import Site, running

from ez_homelab.route import ContainerTarget, Expectation, Route, SignOn
from ez_homelab.tls.authority import create_authority
from ez_homelab.verify.dial import Answer, dialer
from ez_homelab.verify.routes import prove_name, prove_route
from ez_homelab.verify.server import prove_undeclared_name

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.verify.proof import Check

AUTHORITY = create_authority("lab.localhost", datetime.now(UTC))
HOST = "wiki.lab.localhost"
ROUTE = Route(
    *("wiki", "Wiki", HOST, "core", "wiki", ContainerTarget("wiki", 80), Expectation("/health", (200, 204))),
    sign_on=SignOn("bypass"),
)
PORTAL = "auth.lab.localhost"


async def proven(site: Site, *, trusting: bytes = AUTHORITY.certificate_pem, route: Route = ROUTE) -> dict[str, Check]:
    async with dialer("127.0.0.1", trusting, site.ports) as dial:
        rows = await prove_route(route, dial, "127.0.0.1", PORTAL, "nobody is asked to sign in")
        return {check.claim: check for check in rows}


def states(checks: dict[str, Check]) -> dict[str, str]:
    return {claim: check.state for claim, check in checks.items()}


ALL_WELL = dict.fromkeys(("name", "answer over HTTPS", "forged names change nothing", "plain HTTP redirects"), "passed")


async def test_a_route_that_is_well(tmp_path: Path) -> None:
    with running(Site({(HOST, "/health"): 204}), tmp_path, AUTHORITY) as site:
        checks = await proven(site)
        assert states(checks) == ALL_WELL
        assert sorted(site.asked) == [*[(HOST, "/")] * 3, (HOST, "/health")]
    assert checks["answer over HTTPS"].evidence == "204 at /health"
    assert checks["plain HTTP redirects"].evidence == f"301 -> https://{HOST}/"


@pytest.mark.parametrize(
    ("answer", "evidence"),
    [
        (502, "502 at /health, expected 200 or 204"),
        ((302, "https://auth.lab.localhost/"), "302 -> https://auth.lab.localhost/ at /health, expected 200 or 204"),
    ],
)
async def test_another_answer_than_the_apps_own(tmp_path: Path, answer: int | tuple[int, str], evidence: str) -> None:
    with running(Site({(HOST, "/health"): answer}), tmp_path, AUTHORITY) as site:
        check = (await proven(site))["answer over HTTPS"]
    assert (check.state, check.evidence) == ("failed", evidence)


async def test_plain_http_that_does_not_lead_to_https(tmp_path: Path) -> None:
    with running(Site({(HOST, "/health"): 200}, redirect=False), tmp_path, AUTHORITY) as site:
        checks = await proven(site)
    assert states(checks) == ALL_WELL | {"plain HTTP redirects": "failed"}
    assert checks["plain HTTP redirects"].evidence == "200"


async def test_a_certificate_of_another_authority_is_not_accepted(tmp_path: Path) -> None:
    stranger = create_authority("lab.localhost", datetime.now(UTC))
    with running(Site({(HOST, "/health"): 200}), tmp_path, stranger) as site:
        check = (await proven(site))["answer over HTTPS"]
    assert check.state == "failed"
    assert "no answer" in check.evidence
    assert "certificate verify failed" in check.evidence


async def test_a_certificate_for_other_names_is_not_accepted(tmp_path: Path) -> None:
    with running(Site({(HOST, "/health"): 200}), tmp_path, AUTHORITY, "other.lab.localhost") as site:
        check = (await proven(site))["answer over HTTPS"]
    assert check.state == "failed"
    assert "not valid for 'wiki.lab.localhost'" in check.evidence


async def test_nobody_there() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        site = Site(ports=dict.fromkeys(("http", "https"), closed.getsockname()[1]))
        checks = await proven(site)
    asked = ("answer over HTTPS", "forged names change nothing", "plain HTTP redirects")
    assert states(checks) == ALL_WELL | dict.fromkeys(asked, "failed")
    assert checks["plain HTTP redirects"].evidence.startswith("no answer: ")


async def test_a_proxy_in_the_environment_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with running(Site({(HOST, "/health"): 200}), tmp_path, AUTHORITY) as site:
        assert states(await proven(site)) == ALL_WELL


async def test_a_name_that_nobody_declared_leads_nowhere(tmp_path: Path) -> None:
    name = "nobody-declared-this.lab.localhost"
    for answer, state in ((404, "passed"), (200, "failed")):
        with running(Site({(name, "/"): answer}), tmp_path, AUTHORITY) as site:
            async with dialer("127.0.0.1", AUTHORITY.certificate_pem, site.ports) as dial:
                (check,) = await prove_undeclared_name("lab.localhost", dial)
        assert (check.state, check.evidence) == (state, str(answer))


def named(host: str) -> Route:
    return Route("wiki", "Wiki", host, "core", "wiki", ContainerTarget("wiki", 80), Expectation())


@pytest.mark.parametrize(
    ("addresses", "state", "evidence"),
    [
        (["192.168.1.5"], "passed", "wiki.example.org is 192.168.1.5"),
        (["192.168.1.9", "192.168.1.5"], "passed", "wiki.example.org is 192.168.1.5, 192.168.1.9"),
        (["203.0.113.1"], "failed", "wiki.example.org is 203.0.113.1"),
        ([], "failed", "wiki.example.org does not resolve: Name or service not known"),
    ],
)
async def test_whether_a_name_leads_to_the_server(
    addresses: list[str], state: str, evidence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(*_arguments: object, **_options: object) -> list[object]:
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    check = await prove_name(named("wiki.example.org"), "192.168.1.5")
    assert (check.state, check.evidence) == (state, evidence)


async def test_localhost_names_are_answered_without_asking_anyone() -> None:
    check = await prove_name(named("wiki.lab.localhost"), "127.0.0.1")
    assert check.state == "passed"
    assert "this machine only" in check.evidence


@pytest.mark.parametrize(
    ("answer", "text"),
    [(Answer(200), "200"), (Answer(301, "/x"), "301 -> /x"), (Answer(0, problem="no answer: x"), "no answer: x")],
)
def test_an_answer_as_evidence(answer: Answer, text: str) -> None:
    assert str(answer) == text
