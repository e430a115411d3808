"""Can the admins sign in, and not by a password alone?"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ez_homelab.doctor.checks.sign_on import is_not_there
from ez_homelab.doctor.finding import CouldNotLook, Finding, Subject
from ez_homelab.gate_admin import ASK_GATE
from ez_homelab.prerequisites.survey import looking

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ez_homelab.hosts.protocol import Command, Completed


class SecondFactor:
    """What the gate knows of the admins. Authelia tells nobody, so there it is not asked."""

    name = "second-factor"
    about = "whether admins have a second factor"

    def probes(self, subject: Subject) -> Mapping[str, Command]:
        """The gate's own list, by the way that is root's on core alone."""
        if subject.engine != "builtin" or not subject.admins:
            return {}
        return {"state": replace(looking(*ASK_GATE), stdin=b'{"do": "state"}\n')}

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:
        """`no-admin`, `no-admin-password`, `admin-without-second-factor`."""
        if not subject.admins:
            return (_no_admin(),)
        if "state" not in answers or _is_told_elsewhere(answers["state"]):
            return ()
        known = _known(answers["state"])
        with_password = [user for user in subject.admins if known.get(user, {}).get("password")]
        if not with_password:
            return (_no_password(subject),)
        return tuple(_one_factor(user) for user in _without_second(with_password, known))


def _is_told_elsewhere(answer: Completed) -> bool:
    """Whether there is no running gate, which is another check's to tell."""
    return is_not_there(answer) or "is not running" in answer.stderr


def _known(answer: Completed) -> dict[str, dict[str, Any]]:
    try:
        told = json.loads(answer.stdout)
        if "error" in told:
            raise CouldNotLook(str(told["error"]), fix=str(told.get("fix", "")))
        return dict(told["users"])
    except (ValueError, KeyError, TypeError):
        raise CouldNotLook(answer.last_line) from None


def _without_second(users: list[str], known: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    return (user for user in users if not known[user].get("totp") and not known[user].get("passkeys"))


def _no_admin() -> Finding:
    return Finding(
        "no-admin",
        "warning",
        "nobody who may sign in is an admin",
        evidence="users.yaml: no user in the group admins, or none that is not disabled",
        cause="admin tools are open to that group alone",
        fix="ez-homelab users groups NAME +admins",
    )


def _no_password(subject: Subject) -> Finding:
    return Finding(
        "no-admin-password",
        "note",
        "no admin has chosen a password yet",
        evidence=f"admins: {', '.join(subject.admins)}",
        cause="a one-time link was not made or not opened, or it is no longer valid",
        fix=f"ez-homelab users invite {subject.admins[0]}",
    )


def _one_factor(user: str) -> Finding:
    return Finding(
        "admin-without-second-factor",
        "warning",
        f"the admin {user} signs in with a password alone",
        evidence=f"{user}: no one-time codes and no passkey",
        cause="until there is a second factor, admin tools answer in the home network alone",
        fix=f"sign in as {user} and set one up: the portal asks for it when an admin tool is opened",
    )
