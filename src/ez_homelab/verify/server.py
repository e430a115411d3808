"""The proof of one server: its certificate, names nobody declared, what listens, what its Traefik routes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from ez_homelab.hosts import Command
from ez_homelab.observe.listeners import parse_listeners
from ez_homelab.render.core import TRAEFIK
from ez_homelab.tls.certificate import CertificateFacts
from ez_homelab.verify.proof import Check, failed, judged, passed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ez_homelab.hosts import Host
    from ez_homelab.observe import ObservedServer
    from ez_homelab.render.desired import DesiredServer
    from ez_homelab.route import Route
    from ez_homelab.verify.dial import Dialer

UNDECLARED = "nobody-declared-this"


def _ask_traefik(kind: str) -> Command:
    address = f"http://127.0.0.1:8080/api/{kind}/routers?per_page=10000"
    return Command(("docker", "exec", TRAEFIK, "wget", "-q", "-O", "-", address), changes=False, timeout=30)


ASK_ROUTERS, ASK_TCP_ROUTERS = _ask_traefik("http"), _ask_traefik("tcp")

ASK_LISTENERS = Command(("ss", "-H", "-l", "-t", "-n", "-p"), changes=False, timeout=30)


def prove_certificate(found: ObservedServer) -> Check:
    """That the certificate is there and for how long. (That it is accepted is part of every route's answer.)"""
    served = found.certificate.served
    if not isinstance(served, CertificateFacts):
        return failed("lab", "certificate", "there is none" if served is None else f"damaged: {served.why}")
    days = (served.not_after - found.at).days
    return judged("lab", "certificate", days >= 0, f"{', '.join(served.names)}: {days} days left")


async def prove_undeclared_name(domain: str, dialer: Dialer) -> list[Check]:
    """That a name nobody declared leads to no app."""
    answer = await dialer.get(f"https://{UNDECLARED}.{domain}/")
    return [judged("lab", "unknown names get 404", answer.status == 404, str(answer))]


def prove_listening(server: DesiredServer, found: ObservedServer) -> Iterator[Check]:
    """That our containers publish the declared ports and no other, and which ports other containers publish."""
    expected = {port for service in server.services for port in service.published}
    ours = [container for container in found.containers if container.fingerprint]
    published = {port for container in ours if container.state == "running" for port in container.published}
    surplus, lacking = published - expected, expected - published
    claim = "nothing unexpected listens"
    if surplus or lacking:
        evidence = [f"unexpected: {', '.join(sorted(map(str, surplus)))}"] * bool(surplus)
        evidence += [f"not listening: {', '.join(sorted(map(str, lacking)))}"] * bool(lacking)
        yield failed("lab", claim, "; ".join(evidence))
    else:
        yield passed("lab", claim, f"only {', '.join(sorted(map(str, expected)))}")
    for container in found.containers:
        if container.published and not container.fingerprint:
            ports = ", ".join(map(str, container.published))
            yield Check("lab", claim, "note", f"{container.name}, not of this lab, publishes {ports}")


def prove_edges(routes: Iterable[Route], found: ObservedServer) -> Check:
    """That no neighbour shares the network between Traefik and an app: there it could say who is signed in."""
    known = {route.edge_network: {TRAEFIK, route.target.container} for route in routes}
    strangers = sorted(
        f"{container.name} is on {network}"
        for container in found.containers
        for network in container.networks
        if network in known and container.name not in known[network]
    )
    evidence = "; ".join(strangers) or f"{len(known)} networks, each with one app and Traefik"
    return judged("lab", "nobody between Traefik and an app", not strangers, evidence)


async def prove_no_docker_api(host: Host) -> list[Check]:
    """That Docker's engine listens on no network: whoever reaches its API is root on the server."""
    completed = await host.run(ASK_LISTENERS)
    if not completed.ok:
        return [failed("lab", "no Docker API on a network", f"could not look: {completed.last_line}")]
    return [judge_listeners(completed.stdout)]


def judge_listeners(output: str) -> Check:
    """The row for what `ss -Hltnp` prints."""
    engines = [listener.evidence for listener in parse_listeners(output) if listener.program == "dockerd"]
    evidence = "; ".join(engines) or "the engine answers on its own socket file only"
    return judged("lab", "no Docker API on a network", not engines, evidence)


async def prove_routers(host: Host, routes: Iterable[Route], of_lazy: Mapping[str, str]) -> list[Check]:
    """That every router Traefik knows is a Route, and every Route a router; hand-made ones are named.

    `of_lazy` are the routers of those that may sleep, and their rules.
    """
    completed = await asyncio.gather(host.run(ASK_ROUTERS), host.run(ASK_TCP_ROUTERS))
    for one in completed:
        if not one.ok:
            return [failed("lab", "no unknown router", f"Traefik's API did not answer: {one.last_line}")]
    http, tcp = (json.loads(one.stdout) for one in completed)
    return [*judge_routers(http, {**_of_containers(routes), **of_lazy}), *note_tcp_routers(tcp)]


def _of_containers(routes: Iterable[Route]) -> dict[str, str]:
    return {f"{route.name}@docker": route.rule for route in routes if not route.lazy}


def judge_routers(routers: list[dict[str, Any]], declared: Mapping[str, str]) -> Iterator[Check]:
    """The rows for what Traefik's `/api/http/routers` lists (Traefik 3.7); `declared` are rules by router."""
    known = {router["name"]: router for router in routers if router["provider"] != "internal"}
    lacking = sorted(declared.keys() - known.keys())
    broken = [f"{name} is {known[name].get('status')}" for name in declared if name in known and _broken(known[name])]
    wrong = [f"{name} answers {_rule(known[name])}" for name, rule in declared.items()
             if name in known and _rule(known[name]) != rule]  # fmt: skip
    faults = [*(f"{name} is missing" for name in lacking), *broken, *wrong]
    yield judged("lab", "no unknown router", not faults, "; ".join(faults) or f"{len(declared)} routers, all declared")
    for name in sorted(known.keys() - declared.keys()):
        # What a person made is theirs: it is told, also that it does not work, and fails no proof.
        status = f" and is {known[name].get('status')}" if _broken(known[name]) else ""
        yield Check("lab", "no unknown router", "note", f"{name} is hand-made: {_rule(known[name])}{status}")


def note_tcp_routers(routers: list[dict[str, Any]]) -> Iterator[Check]:
    """The rows for what Traefik's `/api/tcp/routers` lists: no middleware of HTTP stands before these."""
    for router in routers:
        evidence = f"{router['name']} is hand-made and for TCP, so sign-on is not asked: {_rule(router)}"
        yield Check("lab", "no unknown router", "note", evidence)


def _broken(router: dict[str, Any]) -> bool:
    return router.get("status") != "enabled"


def _rule(router: dict[str, Any]) -> str:
    return str(router.get("rule", "no rule"))
