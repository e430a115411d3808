"""Which apps does nobody sign in to?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.doctor.finding import Finding, Subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed


class OpenRoutes:
    """Apps whose policy is `bypass`: sign-on lets everybody through to them."""

    name = "open-routes"
    about = "which apps are open without sign-on"

    def probes(self, subject: Subject) -> Mapping[str, Command]:  # noqa: ARG002
        """None: the lab file and the catalog say it."""
        return {}

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:  # noqa: ARG002
        """`route-open`, for each."""
        return tuple(_open(name, reason) for name, reason in subject.open_routes.items())


def _open(name: str, reason: str) -> Finding:
    return Finding(
        "route-open",
        "note",
        f"{name} is open without sign-on",
        evidence="its policy is `bypass`: only what it asks for itself guards it",
        cause=reason,
        fix=f"nothing to do if that is meant; else `policy: one_factor` for {name} in homelab.yaml",
    )
