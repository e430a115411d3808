"""What a server's certificate, ports and Traefik's own list of routers say."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ez_homelab.observe import Unknown
from ez_homelab.render.desired import PublishedPort
from ez_homelab.testing.fake_host import FakeHost
from ez_homelab.testing.make_lab import NOW, desired_of, make_lab, observed_as
from ez_homelab.tls.certificate import DamagedCertificate
from ez_homelab.verify import Proof, ProofPeople, verify_lab
from ez_homelab.verify.proof import failed, passed
from ez_homelab.verify.server import (
    ASK_ROUTERS,
    ASK_TCP_ROUTERS,
    judge_listeners,
    judge_routers,
    prove_certificate,
    prove_listening,
    prove_no_docker_api,
    prove_routers,
)

DESIRED = desired_of(make_lab())
FOUND = observed_as(DESIRED)["core"]
ROUTES = DESIRED.routes
DECLARED = {f"{route.name}@docker": route.rule for route in ROUTES}
ANYWHERE = "0.0.0.0"  # noqa: S104 - nothing is bound here

REDIRECT = {
    "name": "web-to-websecure@internal",
    "provider": "internal",
    "rule": "HostRegexp(`^.+$`)",
    "status": "enabled",
}


def router(name: str, rule: str | None = None, status: str = "enabled", provider: str = "docker") -> dict[str, Any]:
    host = f"{'auth' if name == 'gate' else name}.lab.localhost"
    made = {"name": f"{name}@{provider}", "provider": provider, "status": status, "service": name}
    return made | ({"rule": rule or f"Host(`{host}`)"} if rule != "" else {})


WHOLE = [REDIRECT, *(router(route.name) for route in ROUTES)]
ROUTERS: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str]]]] = {
    "as declared": (WHOLE, [("passed", "4 routers, all declared")]),
    "missing": (WHOLE[:-1], [("failed", "glances@docker is missing")]),
    "broken": (
        [*WHOLE[:-1], router("glances", status="disabled")],
        [("failed", "glances@docker is disabled")],
    ),
    "wrong rule": (
        [*WHOLE[:-1], router("glances", "Host(`other.example`)")],
        [("failed", "glances@docker answers Host(`other.example`)")],
    ),
    "hand-made": (
        [*WHOLE, router("mine", provider="file")],
        [("passed", "4 routers, all declared"), ("note", "mine@file is hand-made: Host(`mine.lab.localhost`)")],
    ),
    "hand-made and broken": (
        [*WHOLE, router("mine", "", "disabled", "file")],
        [("passed", "4 routers, all declared"), ("note", "mine@file is hand-made: no rule and is disabled")],
    ),
    "everything at once": (
        [router("gate"), router("dokuwiki", "", "disabled")],
        [(
            "failed",
            ("glances@docker is missing; prometheus@docker is missing; dokuwiki@docker is disabled; "
            "dokuwiki@docker answers no rule"),
        )],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ROUTERS)
def test_routers(case: str) -> None:
    routers, expected = ROUTERS[case]
    assert [(check.state, check.evidence) for check in judge_routers(routers, DECLARED)] == expected


async def test_routers_as_traefik_tells_them() -> None:
    host = FakeHost("core")
    host.answer(ASK_ROUTERS.argv, stdout=json.dumps(WHOLE))
    host.answer(ASK_TCP_ROUTERS.argv, stdout="[]")
    assert [check.state for check in await prove_routers(host, ROUTES, {})] == ["passed"]


async def test_a_router_for_tcp_is_named_because_it_is_not_behind_sign_on() -> None:
    host = FakeHost("core")
    host.answer(ASK_ROUTERS.argv, stdout=json.dumps(WHOLE))
    host.answer(ASK_TCP_ROUTERS.argv, stdout=json.dumps([router("byhand", "HostSNI(`*`)")]))
    _, note = await prove_routers(host, ROUTES, {})
    assert note.state == "note"
    assert note.evidence == "byhand@docker is hand-made and for TCP, so sign-on is not asked: HostSNI(`*`)"


async def test_a_traefik_that_does_not_answer_proves_nothing() -> None:
    host = FakeHost("core")
    for ask in (ASK_ROUTERS, ASK_TCP_ROUTERS):
        host.answer(ask.argv, status=1, stderr="Error: No such container: traefik\n")
    (check,) = await prove_routers(host, ROUTES, {})
    assert (check.state, check.evidence) == (
        "failed",
        "Traefik's API did not answer: Error: No such container: traefik",
    )


# --- what listens ----------------------------------------------------------------------------------------------


def listening(**changes: dict[str, Any]) -> list[tuple[str, str]]:
    found = observed_as(DESIRED, containers=changes)["core"]
    return [(check.state, check.evidence) for check in prove_listening(DESIRED.servers["core"], found)]


def test_the_entrypoints_listen_and_nothing_else() -> None:
    assert listening() == [("passed", "only 127.0.0.1:443/tcp, 127.0.0.1:80/tcp")]


def test_a_port_that_one_of_ours_opens_beside_them() -> None:
    assert listening(glances={"published": (PublishedPort(ANYWHERE, 61208),)}) == [
        ("failed", "unexpected: 0.0.0.0:61208/tcp")
    ]


def test_an_entrypoint_on_another_address_is_surplus_and_lacking() -> None:
    assert listening(traefik={"published": (PublishedPort(ANYWHERE, 80), PublishedPort("127.0.0.1", 443))}) == [
        ("failed", "unexpected: 0.0.0.0:80/tcp; not listening: 127.0.0.1:80/tcp")
    ]


def test_a_stopped_traefik_listens_on_nothing() -> None:
    assert listening(traefik={"state": "exited"}) == [("failed", "not listening: 127.0.0.1:443/tcp, 127.0.0.1:80/tcp")]


def test_ports_of_other_peoples_containers_are_named_and_fail_nothing() -> None:
    stranger = replace(FOUND.containers[0], name="plex", labels={}, published=(PublishedPort(ANYWHERE, 32400),))
    found = observed_as(DESIRED, extra_containers=[stranger])["core"]
    checks = list(prove_listening(DESIRED.servers["core"], found))
    assert [check.state for check in checks] == ["passed", "note"]
    assert checks[1].evidence == "plex, not of this lab, publishes 0.0.0.0:32400/tcp"


# --- certificate -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "state"), [(0, "passed"), (88, "passed"), (89, "passed"), (90, "failed")])
def test_how_long_the_certificate_is_good_for(days: int, state: str) -> None:
    check = prove_certificate(replace(FOUND, at=NOW + timedelta(days=days)))
    assert check.state == state
    assert check.evidence == f"lab.localhost, *.lab.localhost, *.core.lab.localhost: {89 - days} days left"


@pytest.mark.parametrize(
    ("served", "evidence"),
    [(None, "there is none"), (DamagedCertificate("it cannot be read"), "damaged: it cannot be read")],
)
def test_no_certificate_that_could_be_good(served: DamagedCertificate | None, evidence: str) -> None:
    check = prove_certificate(replace(FOUND, certificate=replace(FOUND.certificate, served=served)))
    assert (check.state, check.evidence) == ("failed", evidence)


# --- the whole -------------------------------------------------------------------------------------------------


async def test_a_server_that_could_not_be_looked_at_is_a_failure_of_its_own() -> None:
    unknown = Unknown("core", "off", NOW)
    proof = await verify_lab(DESIRED, {"core": "127.0.0.1"}, {"core": FakeHost()}, {"core": unknown}, ProofPeople())
    assert [(check.subject, check.state, check.evidence) for check in proof.checks] == [("core", "failed", "off")]
    assert not proof.holds


async def test_before_the_first_apply_the_proof_says_what_to_run() -> None:
    host = FakeHost("core")
    proof = await verify_lab(DESIRED, {"core": "127.0.0.1"}, {"core": host}, {"core": FOUND}, ProofPeople())
    assert "run `ez-homelab apply`" in proof.failures[0].evidence


def test_a_proof_of_nothing_does_not_hold() -> None:
    assert not Proof(()).holds
    assert Proof((passed("wiki", "name", ""),)).holds
    proof = Proof((passed("wiki", "name", ""), failed("lab", "certificate", "there is none")))
    assert not proof.holds
    assert proof.of("wiki") == proof.about({"wiki"}).checks == proof.checks[:1]
    assert proof.to_dict()["holds"] is False


def test_an_engine_that_listens_on_a_network_is_a_failure() -> None:
    alone = 'LISTEN 0 4096 127.0.0.1:443 0.0.0.0:* users:(("docker-proxy",pid=9,fd=4))\n'
    open_to_all = 'LISTEN 0 4096 *:2375 *:* users:(("dockerd",pid=7,fd=5))\n'
    assert judge_listeners(alone).state == "passed"
    seen = judge_listeners(alone + open_to_all)
    assert seen.state == "failed"
    assert seen.evidence.startswith("*:2375")


async def test_listeners_that_could_not_be_looked_at_are_no_proof() -> None:
    (row,) = await prove_no_docker_api(FakeHost("core"))
    assert row.state == "failed"
    assert "could not look" in row.evidence
