"""Ask a server every check's questions, all at once and each only once, and sort what is found."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ez_homelab.doctor.checks.architecture import Architecture
from ez_homelab.doctor.checks.certificate import Certificate
from ez_homelab.doctor.checks.clock import Clock
from ez_homelab.doctor.checks.compose import Compose
from ez_homelab.doctor.checks.cookie_domain import CookieDomain
from ez_homelab.doctor.checks.data_paths import DataPaths
from ez_homelab.doctor.checks.disk import Disk
from ez_homelab.doctor.checks.docker import Docker
from ez_homelab.doctor.checks.lan import Lan
from ez_homelab.doctor.checks.memory import Memory
from ez_homelab.doctor.checks.memory_cgroup import MemoryCgroup
from ez_homelab.doctor.checks.names import Names
from ez_homelab.doctor.checks.on_demand import OnDemand
from ez_homelab.doctor.checks.open_routes import OpenRoutes
from ez_homelab.doctor.checks.ports import Ports
from ez_homelab.doctor.checks.registration import Registration
from ez_homelab.doctor.checks.root import Root
from ez_homelab.doctor.checks.second_factor import SecondFactor
from ez_homelab.doctor.checks.sign_on import SignOn
from ez_homelab.doctor.finding import SEVERITIES, Check, CouldNotLook, Finding, Subject
from ez_homelab.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed, Host

CHECKS: tuple[Check, ...] = (
    Root(),
    Architecture(),
    Docker(),
    Compose(),
    MemoryCgroup(),
    Ports(),
    Disk(),
    DataPaths(),
    Memory(),
    Names(),
    CookieDomain(),
    SignOn(),
    SecondFactor(),
    Certificate(),
    Clock(),
    Lan(),
    OpenRoutes(),
    Registration(),
    OnDemand(),
)

Answers = dict[tuple[str, ...], "Completed | CommandError"]


async def examine(host: Host, subject: Subject, checks: tuple[Check, ...] = CHECKS) -> tuple[Finding, ...]:
    """Everything found, worst first. A check that could not look says so as a finding of its own.

    Raises `UnreachableError` where the server cannot be asked at all.
    """
    asked = [(check, check.probes(subject)) for check in checks]
    distinct = {probe.argv: probe for _, probes in asked for probe in probes.values()}
    answers: Answers = dict(
        zip(distinct, await asyncio.gather(*(_ask(host, p) for p in distinct.values())), strict=True)
    )
    found = [finding for check, probes in asked for finding in _judge(check, subject, probes, answers)]
    return tuple(sorted(found, key=lambda finding: SEVERITIES.index(finding.severity)))


async def _ask(host: Host, probe: Command) -> Completed | CommandError:
    try:
        return await host.run(probe)
    except CommandError as error:
        return error


def _judge(check: Check, subject: Subject, probes: Mapping[str, Command], answers: Answers) -> tuple[Finding, ...]:
    given = {name: answers[probe.argv] for name, probe in probes.items()}
    completed: dict[str, Completed] = {}
    for name, answer in given.items():
        if isinstance(answer, CommandError):
            return (could_not_look(check, answer.evidence or answer.what, answer.fix),)
        completed[name] = answer
    try:
        return check.findings(subject, completed)
    except CouldNotLook as error:
        return (could_not_look(check, error.evidence, error.fix),)


def could_not_look(check: Check, evidence: str, fix: str) -> Finding:
    """The finding for a check whose probes gave no answer: it may be fine, and it may not."""
    return Finding(
        f"{check.name}-unknown",
        "warning",
        f"could not look at {check.about}",
        evidence=evidence,
        cause="the probe gave no answer, so nothing is known about it",
        fix=fix or "run `ez-homelab doctor` again as root",
    )
