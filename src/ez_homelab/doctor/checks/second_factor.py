"""Can the admins sign in, and not by a password alone?"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ez_homelab.authelia_people import ASK_PEOPLE, told_people
from ez_homelab.authelia_storage import ASK_PASSKEYS, ASK_TOTP_USERS, told_passkeys, told_totp_users
from ez_homelab.doctor.checks.sign_on import is_not_there
from ez_homelab.doctor.finding import CouldNotLook, Finding, Subject
from ez_homelab.errors import EzError
from ez_homelab.gate_admin import ASK_GATE
from ez_homelab.prerequisites.survey import looking
from ez_homelab.sso.authelia.people import with_password

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed


_UNTIL_THERE_IS_ONE = {
    "builtin": "until there is a second factor, admin tools answer in the home network alone",
    "authelia": "until there is a second factor, admin tools stay closed",
}


class SecondFactor:
    """What the engine of sign-on knows of the admins."""

    name = "second-factor"
    about = "whether admins have a second factor"

    def probes(self, subject: Subject) -> Mapping[str, Command]:
        """The engine's own lists, by the way that is root's on core alone."""
        if not subject.admins:
            return {}
        if subject.engine == "builtin":
            return {"state": replace(looking(*ASK_GATE), stdin=b'{"do": "state"}\n')}
        asked = {"people": ASK_PEOPLE, "codes": ASK_TOTP_USERS, "passkeys": ASK_PASSKEYS}
        return {name: looking(*command) for name, command in asked.items()}

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:
        """`no-admin`, `no-admin-password`, `admin-without-second-factor`."""
        if not subject.admins:
            return (_no_admin(),)
        if any(is_not_there(answer) for answer in answers.values()):
            return ()
        known = _of_gate(answers["state"]) if subject.engine == "builtin" else _of_authelia(answers)
        if known is None:
            return ()
        may_sign_in = [user for user in subject.admins if user in known.with_password]
        if not may_sign_in:
            return (_no_password(subject),)
        return tuple(_one_factor(subject, user) for user in may_sign_in if user not in known.with_second_factor)


class _Known(NamedTuple):
    """User names of people who can sign in, and of those who have to show more than a password."""

    with_password: frozenset[str]
    with_second_factor: frozenset[str]


def _of_gate(answer: Completed) -> _Known | None:
    """None where it does not run, which is another check's to tell."""
    if "is not running" in answer.stderr:
        return None
    try:
        told = json.loads(answer.stdout)
        if "error" in told:
            raise CouldNotLook(str(told["error"]), fix=str(told.get("fix", "")))
        users = dict(told["users"]).items()
        return _Known(
            frozenset(user for user, state in users if state.get("password")),
            frozenset(user for user, state in users if state.get("totp") or state.get("passkeys")),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CouldNotLook(answer.last_line) from None


def _of_authelia(answers: Mapping[str, Completed]) -> _Known:
    try:
        codes, keys = told_totp_users(answers["codes"]), told_passkeys(answers["passkeys"])
        return _Known(with_password(told_people(answers["people"])), codes | keys.keys())
    except EzError as error:
        raise CouldNotLook(error.evidence or error.what, fix=error.fix) from None


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


def _one_factor(subject: Subject, user: str) -> Finding:
    return Finding(
        "admin-without-second-factor",
        "warning",
        f"the admin {user} signs in with a password alone",
        evidence=f"{user}: no one-time codes and no passkey",
        cause=_UNTIL_THERE_IS_ONE[subject.engine],
        fix=f"sign in as {user} and set one up: the portal asks for it when an admin tool is opened",
    )
