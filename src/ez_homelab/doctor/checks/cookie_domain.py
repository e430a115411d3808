"""Do browsers take a cookie for the lab's domain? On a domain that belongs to everybody nobody could sign in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.config.public_suffix import is_public_suffix
from ez_homelab.doctor.finding import Finding, Subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed


class CookieDomain:
    """The lab's domain beside the public suffix list, whoever wrote it into the lab file."""

    name = "cookie-domain"
    about = "whether browsers take a cookie for the lab's domain"

    def probes(self, subject: Subject) -> Mapping[str, Command]:  # noqa: ARG002
        """None: the list is here."""
        return {}

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:  # noqa: ARG002
        """`cookie-domain-public`."""
        return (_public(subject.domain),) if is_public_suffix(subject.domain) else ()


def _public(domain: str) -> Finding:
    return Finding(
        "cookie-domain-public",
        "error",
        f"nobody can sign in: browsers take no cookie for {domain}",
        evidence=f"{domain} is on the public suffix list (publicsuffix.org)",
        cause="strangers have names below it too, and a cookie for all of it would be theirs as well",
        fix=f"write the name below it that is yours into homelab.yaml, such as `domain: my-lab.{domain}`",
    )
