"""Do the networks that count as the lab's own keep others out of what is for the home network alone?"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from ez_homelab.doctor.finding import Finding, Subject
from ez_homelab.prerequisites.survey import looking

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ez_homelab.hosts.protocol import Command, Completed

NARROW = {4: 24, 6: 48}
"""Prefix lengths from which on a public network can be one household's."""


class Lan:
    """`sign_on.lan` beside the server's address, and whether requests still have their own when they are asked for."""

    name = "lan"
    about = "which networks count as the lab's own"

    def probes(self, subject: Subject) -> Mapping[str, Command]:
        """How Docker runs: without root it hides where requests come from."""
        if not subject.lan_routes:
            return {}
        return {"docker": looking("docker", "info", "--format", "{{json .SecurityOptions}}")}

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:
        """`lan-unseen`, `lan-too-wide`, `lan-public`, `lan-without-server`."""
        if not subject.lan_routes:
            return ()
        rootless = answers["docker"].ok and "name=rootless" in answers["docker"].stdout
        found = [_unseen(subject)] if rootless else []
        return (*found, *_public(subject), *_without_server(subject))


def _about(subject: Subject) -> str:
    return f"apps for the home network alone: {', '.join(subject.lan_routes)}"


def _public(subject: Subject) -> Iterator[Finding]:
    for text in subject.lan:
        network = ipaddress.ip_network(text)
        if not network.is_global:
            continue
        if network.prefixlen < NARROW[network.version]:
            yield Finding(
                "lan-too-wide",
                "warning",
                f"strangers count as being in the home network: {text}",
                evidence=f"sign_on.lan in homelab.yaml has {text}; {_about(subject)}",
                cause="these are public addresses, and far more than one household has",
                fix="write the networks of your own in homelab.yaml, such as 192.168.1.0/24",
            )
        else:
            yield Finding(
                "lan-public",
                "note",
                f"public addresses count as being in the home network: {text}",
                evidence=f"sign_on.lan in homelab.yaml has {text}; {_about(subject)}",
                cause="right where your provider gives you these for good",
                fix="nothing to do if so; else take them out of homelab.yaml",
            )


def _without_server(subject: Subject) -> Iterator[Finding]:
    address = ipaddress.ip_address(subject.address)
    if address.is_loopback or any(address in ipaddress.ip_network(text) for text in subject.lan):
        return
    yield Finding(
        "lan-without-server",
        "warning",
        "the machines beside this server do not count as being in the home network",
        evidence=f"server: {address}; sign_on.lan: {', '.join(subject.lan) or 'empty'}; {_about(subject)}",
        cause="homelab.yaml names other networks than the server's own",
        fix="add the server's network to `sign_on: {lan: [...]}` in homelab.yaml",
    )


def _unseen(subject: Subject) -> Finding:
    return Finding(
        "lan-unseen",
        "warning",
        "every request seems to come from the home network",
        evidence=f"docker info: name=rootless; {_about(subject)}",
        cause="a Docker engine without root replaces the sender's address by its own",
        fix="use the engine that runs as root, or keep strangers out with the router",
    )
