"""In which apps can people make accounts for themselves? Sign-on alone decides who gets as far as that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.doctor.finding import Finding, Subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed

CAUSE = "the app comes like that; whether somebody has closed it since, only the app itself knows"


class Registration:
    """Apps that come with an open registration, by the catalog: what people set in the app itself is not looked at."""

    name = "registration"
    about = "in which apps people can make accounts for themselves"

    def probes(self, subject: Subject) -> Mapping[str, Command]:  # noqa: ARG002
        """None: the catalog says it."""
        return {}

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:  # noqa: ARG002
        """`registration-open-to-strangers` where no sign-on stands in front, else `registration-open`."""
        return tuple(
            _open_to_strangers(name, fix) if name in subject.open_routes else _open(name, fix)
            for name, fix in subject.registrations.items()
        )


def _open_to_strangers(name: str, fix: str) -> Finding:
    return Finding(
        "registration-open-to-strangers",
        "warning",
        f"strangers can make accounts for themselves in {name}",
        evidence="its folder in the catalog says `registration: open`, and its policy is `bypass`",
        cause=CAUSE,
        fix=fix,
    )


def _open(name: str, fix: str) -> Finding:
    return Finding(
        "registration-open",
        "note",
        f"everybody who may open {name} can make an account there",
        evidence="its folder in the catalog says `registration: open`",
        cause=CAUSE,
        fix=fix,
    )
