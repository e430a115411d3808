"""Is the certificate that Traefik serves valid, and for how long?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ez_homelab.doctor.finding import CouldNotLook, Finding, Subject
from ez_homelab.prerequisites.survey import looking
from ez_homelab.tls.certificate import DamagedCertificate, inspect_certificate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed
    from ez_homelab.tls.certificate import CertificateFacts

CERTIFICATES_ONLY = "/BEGIN CERTIFICATE/,/END CERTIFICATE/p"
"""The private key stands in the same file, and no probe is to read it."""


class Certificate:
    """The lab's certificate beside the server's own clock."""

    name = "certificate"
    about = "the lab's certificate"

    def probes(self, subject: Subject) -> Mapping[str, Command]:
        """The certificates in the file, and the time."""
        if not subject.certificate:
            return {}
        return {"file": looking("sed", "-n", CERTIFICATES_ONLY, subject.certificate), "now": looking("date", "+%s")}

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:
        """`certificate-expired`, `certificate-ends-soon`, `certificate-not-yet`, `certificate-damaged`."""
        if not subject.certificate or "No such file" in answers["file"].stderr:
            return ()
        for answer in answers.values():
            if not answer.ok:
                raise CouldNotLook(answer.last_line)
        seconds = answers["now"].stdout.strip()
        if not seconds.isdecimal():
            raise CouldNotLook(answers["now"].last_line)
        pem = "".join(f"{line.strip()}\n" for line in answers["file"].stdout.splitlines())
        facts = inspect_certificate(pem.encode())
        if isinstance(facts, DamagedCertificate):
            return (_damaged(subject, facts),)
        finding = _by_time(facts, datetime.fromtimestamp(int(seconds), UTC))
        return (finding,) if finding else ()


def _by_time(facts: CertificateFacts, now: datetime) -> Finding | None:
    if now < facts.not_before:
        return _not_yet(facts, now)
    left = facts.not_after - now
    if left.total_seconds() < 0:
        return _expired(facts)
    return _soon(facts, left.days) if facts.ends_soon(now) else None


def _damaged(subject: Subject, facts: DamagedCertificate) -> Finding:
    return Finding(
        "certificate-damaged",
        "warning",
        "the lab's certificate cannot be used",
        evidence=f"{subject.certificate}: {facts.why}",
        cause="the file was cut short or edited",
        fix="ez-homelab apply",
    )


def _expired(facts: CertificateFacts) -> Finding:
    return Finding(
        "certificate-expired",
        "warning",
        "the lab's certificate has expired: browsers refuse every app and the sign-in page",
        evidence=f"valid until {facts.not_after:%Y-%m-%d %H:%M} UTC",
        cause="an apply renews it, and the last one was long ago",
        fix="ez-homelab apply",
    )


def _soon(facts: CertificateFacts, days: int) -> Finding:
    return Finding(
        "certificate-ends-soon",
        "warning",
        f"the lab's certificate is valid for {days} more days",
        evidence=f"valid until {facts.not_after:%Y-%m-%d %H:%M} UTC",
        cause="an apply renews it when less than a third of its life is left",
        fix="ez-homelab apply",
    )


def _not_yet(facts: CertificateFacts, now: datetime) -> Finding:
    return Finding(
        "certificate-not-yet",
        "warning",
        "the lab's certificate is not valid yet",
        evidence=f"valid from {facts.not_before:%Y-%m-%d %H:%M} UTC; this server's clock says {now:%Y-%m-%d %H:%M} UTC",
        cause="the server's clock is behind",
        fix="set the clock: timedatectl set-ntp true",
    )
