"""Do the lab's names lead to this server?"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from ez_homelab.doctor.finding import CouldNotLook, Finding, Subject
from ez_homelab.prerequisites.survey import looking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed

LABEL = "ez-homelab-check"
"""Any name below the domain has to lead here, so one is asked for that no app has."""


class Names:
    """A name below the lab's domain. Below `.localhost` browsers and curl go to this machine without asking anybody."""

    name = "names"
    about = "where the lab's names lead"

    def probes(self, subject: Subject) -> Mapping[str, Command]:
        """What the server's own resolver says, and the server's addresses."""
        if _is_local(subject.domain):
            return {}
        return {
            "name": looking("getent", "ahostsv4", f"{LABEL}.{subject.domain}"),
            "addresses": looking("hostname", "--all-ip-addresses"),
        }

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:
        """`name-unknown`, `name-elsewhere`, `name-public`."""
        if _is_local(subject.domain):
            return ()
        if answers["name"].status not in {0, 2}:  # getent(1): 2 is "not found"
            raise CouldNotLook(answers["name"].last_line)
        if not answers["addresses"].ok:
            raise CouldNotLook(answers["addresses"].last_line)
        resolved = sorted({line.split()[0] for line in answers["name"].stdout.splitlines() if line.strip()})
        here = {*answers["addresses"].stdout.split(), subject.address, "127.0.0.1"}
        if not resolved:
            return (_unknown(subject),)
        strangers = [address for address in resolved if address not in here]
        if not strangers:
            return ()
        if all(ipaddress.ip_address(address).is_global for address in strangers):
            return (_public(subject, strangers),)
        return (_elsewhere(subject, strangers, here),)


def _is_local(domain: str) -> bool:
    return domain == "localhost" or domain.endswith(".localhost")


def _unknown(subject: Subject) -> Finding:
    return Finding(
        "name-unknown",
        "warning",
        f"names below {subject.domain} lead nowhere",
        evidence=f"getent ahostsv4 {LABEL}.{subject.domain}: no address",
        cause="no DNS server that this machine asks knows the domain",
        fix=f"in your router or DNS server, let *.{subject.domain} lead to this server's address",
    )


def _public(subject: Subject, found: list[str]) -> Finding:
    return Finding(
        "name-public",
        "note",
        f"names below {subject.domain} lead to a public address",
        evidence=f"{LABEL}.{subject.domain}: {', '.join(found)}",
        cause="right where that is your router's address and it hands ports 80 and 443 on to this server",
        fix="nothing to do if so; else let the names lead to this server's own address",
    )


def _elsewhere(subject: Subject, found: list[str], here: set[str]) -> Finding:
    own = sorted(here - {"127.0.0.1"}) or ["127.0.0.1"]
    return Finding(
        "name-elsewhere",
        "warning",
        f"names below {subject.domain} lead to another machine",
        evidence=f"{LABEL}.{subject.domain}: {', '.join(found)}; this server: {', '.join(own)}",
        cause="the DNS entry is of an older address, or of another server",
        fix=f"in your router or DNS server, let *.{subject.domain} lead to {own[0]}",
    )
