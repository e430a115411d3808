"""Whether the lab needs a certificate authority or a new certificate, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.plan.action import Action
from ez_homelab.tls.certificate import CertificateSpec, renewal_cause

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ez_homelab.observe.observed import ObservedServer
    from ez_homelab.plan.action import Verb
    from ez_homelab.render.desired import DesiredServer
    from ez_homelab.tls.authority import AuthorityFacts


def certificate_actions(
    domain: str, server: DesiredServer, found: ObservedServer, after: tuple[str, ...] = ()
) -> Iterator[Action]:
    """At most two: a new authority, then a new certificate, which also waits for `after`."""
    authority = found.certificate.authority
    waits: tuple[str, ...] = ()
    if cause := _authority_cause(authority, domain, found.at):
        verb: Verb = "create" if authority is None else "replace"
        made = Action(server.name, "authority", domain, verb, cause, destructive=authority is not None)
        waits = (made.id,)
        yield made
    key_id = "" if waits or authority is None else authority.key_id
    served = found.certificate.served
    if due := renewal_cause(served, CertificateSpec(server.certificate.names), key_id, found.at):
        renewal: Verb = "issue" if served is None else "renew"
        yield Action(server.name, "certificate", server.certificate.names[0], renewal, due, waits_for=(*waits, *after))


def _authority_cause(authority: AuthorityFacts | None, domain: str, now: datetime) -> str:
    if authority is None:
        return "this lab has none yet"
    if authority.domain != domain:
        return f"it signs for {authority.domain} only; every device must trust the new one (ez-homelab trust)"
    if now > authority.not_after:
        return f"it expired on {authority.not_after:%Y-%m-%d}; every device must trust the new one (ez-homelab trust)"
    return ""
