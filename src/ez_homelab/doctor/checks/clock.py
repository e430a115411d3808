"""Does the server keep the right time? One-time codes are good for half a minute, and certificates have dates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.doctor.finding import Finding, Subject
from ez_homelab.prerequisites.survey import looking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed

APPLIED_RECORD = "/var/lib/ez-homelab/applied.json"
"""Written by every apply: it is never younger than now."""

TOLERANCE = 60
"""Seconds that the record may be ahead: an apply may be writing it right now."""


class Clock:
    """The word of whoever keeps the clock, without asking the network: systemd, which reads the kernel's, or chrony."""

    name = "clock"
    about = "whether the clock is right"

    def probes(self, subject: Subject) -> Mapping[str, Command]:  # noqa: ARG002
        """systemd's and chrony's word, the time, and when something was written last."""
        return {
            "systemd": looking("timedatectl", "show", "--property=NTP", "--property=NTPSynchronized"),
            "chrony": looking("chronyc", "-n", "-c", "tracking"),
            "now": looking("date", "+%s"),
            "applied": looking("stat", "--format=%Y", APPLIED_RECORD),
        }

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:  # noqa: ARG002
        """`clock-behind`, `clock-not-synchronised`, `clock-unwatched`."""
        now, applied = _number(answers["now"]), _number(answers["applied"])
        if now is not None and applied is not None and now + TOLERANCE < applied:
            return (_behind(applied - now),)
        if answers["chrony"].ok and answers["chrony"].stdout.strip().endswith(",Normal"):
            return ()
        systemd = dict(line.split("=", 1) for line in answers["systemd"].stdout.splitlines() if "=" in line)
        if not answers["systemd"].ok or "NTPSynchronized" not in systemd:
            if answers["chrony"].ok:
                return (_adrift("chronyc tracking: not synchronised", "see its sources: chronyc sources"),)
            return (_unwatched(answers),)
        if systemd["NTPSynchronized"] == "yes":
            return ()
        off = systemd.get("NTP") != "yes"
        fix = "timedatectl set-ntp true" if off else "see why: timedatectl timesync-status"
        return (_adrift(f"timedatectl: NTP={systemd.get('NTP')}, NTPSynchronized=no", fix),)


def _number(answer: Completed) -> int | None:
    text = answer.stdout.strip()
    return int(text) if answer.ok and text.isdecimal() else None


def _behind(seconds: int) -> Finding:
    return Finding(
        "clock-behind",
        "warning",
        "the clock of this server is behind",
        evidence=f"{APPLIED_RECORD} was written {seconds} s after the time that it is now",
        cause="a machine without a battery for its clock has started, and no time server was reached since",
        fix="timedatectl set-ntp true",
    )


def _adrift(evidence: str, fix: str) -> Finding:
    return Finding(
        "clock-not-synchronised",
        "warning",
        "nothing keeps the clock of this server right",
        evidence=evidence,
        cause="no time server is asked, or none answers; when the clock is off by a minute, no one-time code is right",
        fix=fix,
    )


def _unwatched(answers: Mapping[str, Completed]) -> Finding:
    return Finding(
        "clock-unwatched",
        "note",
        "nothing on this server says whether its clock is right",
        evidence=f"{_said('timedatectl', answers['systemd'])}; {_said('chronyc', answers['chrony'])}",
        cause="neither systemd-timesyncd nor chrony runs here",
        fix="install one, such as: apt install chrony; nothing to do in a container, whose clock is its host's",
    )


def _said(program: str, answer: Completed) -> str:
    return answer.last_line if answer.last_line.startswith(f"{program}:") else f"{program}: {answer.last_line}"
