"""Are the lab's ports free, or already ours?"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ez_homelab.doctor.finding import CouldNotLook, Finding, Subject
from ez_homelab.observe.listeners import parse_listeners
from ez_homelab.prerequisites.survey import looking
from ez_homelab.render.desired import FINGERPRINT_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed
    from ez_homelab.observe.listeners import Listener

EVERYWHERE = {"0.0.0.0", "*", "::", "[::]"}  # noqa: S104 - compared with, never bound
DOCKER_PROXY = "docker-proxy"
SERVICES = {"nginx", "apache2", "caddy", "lighttpd", "haproxy", "traefik", "k3s-server", "tailscaled"}


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a port: on which address, by which name, and how to make it let go."""

    address: str
    port: int
    name: str
    fix: str
    evidence: str


class Ports:
    """The ports that people come in by."""

    name = "ports"
    about = "who listens on the lab's ports"

    def probes(self, subject: Subject) -> Mapping[str, Command]:  # noqa: ARG002
        """The kernel's listeners, and the containers that publish ports (Docker may do so without a listener)."""
        return {
            "listeners": looking("ss", "-H", "-l", "-t", "-n", "-p"),
            "containers": looking("docker", "ps", "--no-trunc", "--format", "{{json .}}"),
        }

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:
        """`port-taken`, one for each port and holder."""
        listeners, containers = answers["listeners"], answers["containers"]
        if not listeners.ok:
            raise CouldNotLook(listeners.last_line, fix="install it: apt-get install iproute2")
        published, ours = _published(containers.stdout if containers.ok else "")
        held = [holder for holder in _listening(listeners.stdout) if holder.name != DOCKER_PROXY or not containers.ok]
        taken = {
            (holder.port, holder.name): holder
            for holder in (*held, *published)
            if holder.port in subject.ports
            and _meets(holder.address, subject.address)
            and (holder.port, holder.name) not in ours
        }
        return tuple(_finding(holder) for _, holder in sorted(taken.items()))


def _meets(held: str, wanted: str) -> bool:
    return held in EVERYWHERE - {"[::]"} or wanted in EVERYWHERE or held == wanted


def _listening(output: str) -> list[Holder]:
    return [
        Holder(
            listener.address,
            listener.port,
            listener.program or "a program that only root can see",
            _stop_program(listener),
            listener.evidence,
        )
        for listener in parse_listeners(output)
    ]


def _stop_program(listener: Listener) -> str:
    if not listener.program:
        return "run this as root to learn its name: sudo ./ez-homelab.sh doctor"
    if listener.program in SERVICES:
        return f"stop it and keep it stopped: systemctl disable --now {listener.program}"
    return f"stop it (process {listener.pid}), and see that it is not started again at boot"


def _published(output: str) -> tuple[list[Holder], set[tuple[int, str]]]:
    """From `docker ps`: who publishes which port, and which of them are this tool's own."""
    holders, ours = [], set()
    for line in output.splitlines():
        try:
            container = json.loads(line)
        except ValueError as error:
            raise CouldNotLook(f"docker ps: {line[:200]}") from error
        name = f"the container {container.get('Names', '?')}"
        for address, port in _ports(container.get("Ports", "")):
            fix = f"docker stop {container.get('Names', '?')}, and take the port out of its Compose file"
            holders.append(
                Holder(address, port, name, fix, f"{container.get('Image', '?')}: {container.get('Ports', '')}")
            )
            if f"{FINGERPRINT_LABEL}=" in container.get("Labels", ""):
                ours.add((port, name))
    return holders, ours


def _ports(text: str) -> list[tuple[str, int]]:
    """`0.0.0.0:80->8080/tcp, :::80->8080/tcp, 127.0.0.1:8000-8001->8000-8001/tcp, 9000/tcp` taken apart."""
    found = []
    for part in text.split(", "):
        outside = re.fullmatch(r"(.+):(\d+)(?:-(\d+))?->\S+/tcp", part)
        if outside:
            address = "[::]" if outside[1] in {"::", "[::]"} else outside[1]
            found += [(address, port) for port in range(int(outside[2]), int(outside[3] or outside[2]) + 1)]
    return found


def _finding(holder: Holder) -> Finding:
    return Finding(
        "port-taken",
        "error",
        f"port {holder.port} is taken by {holder.name}",
        evidence=holder.evidence,
        cause="two programs cannot answer on one port, and the lab's apps are reached through this one",
        fix=holder.fix,
    )
