"""users.yaml: the people of a lab and their groups, as `Person`s; or every mistake in it at once.

Nothing in it is secret: passwords and second factors are kept by the engine of sign-on.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ez_homelab.config import rules
from ez_homelab.config.load import UnreadableError, lab_file_error, read_lab_file
from ez_homelab.config.options import Group, Listed, Named, Option, Text, Version
from ez_homelab.config.people import PROOF_PREFIX, Person
from ez_homelab.config.reading import Reader
from ez_homelab.errors import Fault, UsageError
from ez_homelab.yaml_text import parse_yaml, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from ez_homelab.config.rules import Complaint

USERS_FILE = "users.yaml"

ADMINS = "admins"
"""Whoever is in this group may open the admin tools."""

FIRST_ADMIN = "admin"

USER_PATTERN = "[a-z]([a-z0-9._-]{0,30}[a-z0-9])?"

_USER = re.compile(USER_PATTERN)
_EMAIL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}")
_HINTS = {
    "displayname": "write `name`",
    **dict.fromkeys(
        ("password", "passwd", "password_hash", "hash"),
        "remove it: no password is in this file; `ez-homelab users passwd NAME` sets one",
    ),
}


def user_name(text: str) -> Complaint | None:
    """The name that a person signs in with."""
    if text.startswith(PROOF_PREFIX):
        return f"user name `{shown(text)}` is kept for `ez-homelab verify`", "choose another one"
    if _USER.fullmatch(text):
        return None
    slug = re.sub("[^a-z0-9._-]+", "-", text.lower()).strip("._-0123456789")
    suggestion = f"write `{slug}`" if _USER.fullmatch(slug) and not slug.startswith(PROOF_PREFIX) else ""
    rule = "lower-case letters, digits and `._-` between them, a letter first, at most 32 characters"
    return f"`{shown(text)}` is no user name: {rule}", suggestion


def person_name(text: str) -> Complaint | None:
    """A person's name as others read it: one printable line."""
    if text.strip() == text and 0 < len(text) <= 100 and text.isprintable():
        return None
    return "a person's name is one line of printable text of at most 100 characters", "write one such as `Anna Smith`"


def email(text: str) -> Complaint | None:
    """One address, without a name and without brackets."""
    if len(text) <= 254 and _EMAIL.fullmatch(text):
        return None
    return f"`{shown(text)}` is no e-mail address", "write one such as `anna@example.org`"


def group_name(text: str) -> Complaint | None:
    """A name as stacks and apps have it."""
    return rules.name(text)


def _true_or_false(text: str) -> Complaint | None:
    if text in ("true", "false"):
        return None
    return f"`disabled` should be `true` or `false`, not `{shown(text)}`", ""


USER = Group(
    (
        Option(
            "name", Text("", person_name, 100), "The person's name.", example="Anna Smith", otherwise="the user name"
        ),
        Option("email", Text("@", email, 254), "The person's e-mail address.", example="anna@example.org"),
        Option(
            "groups",
            Listed(Text(f"^{rules.NAME_PATTERN}$", group_name, rules.NAME_LENGTH)),
            f"The groups the person is in. Members of `{ADMINS}` may open the admin tools.",
            example=[ADMINS, "family"],
        ),
        Option(
            "disabled",
            Text("^(true|false)$", _true_or_false, 5, numbers=True),
            "Whether the person may not sign in. Sessions that there are end at once.",
            default=False,
        ),
    ),
    "user",
)

USERS = Group(
    (
        Option("version", Version(), "The format of this file.", example=1, required=True),
        Option(
            "users",
            Named(Text(f"^{USER_PATTERN}$", user_name, 32), USER, "user"),
            "Everybody who may sign in, by the name that they sign in with.",
            example={"anna": {"groups": [ADMINS]}},
        ),
    ),
    "users",
)
"""Every option of users.yaml, once."""

_STARTER = """\
# Who may sign in, and what they may open. `ez-homelab users` edits this file for you and keeps your comments.
# It is safe for git: passwords and second factors are kept elsewhere and never stand here.

# The format of this file.
version: 1

users:
  {admin}:
    # Members of `admins` may open the admin tools. Other groups are yours to name.
    groups: [admins]
    # name: Anna Smith
    # email: anna@example.org
"""


def starter_users(admin: str = FIRST_ADMIN) -> str:
    """The text of a users.yaml with its first admin. Raises `UsageError` where that is no user name."""
    complaint = user_name(admin)
    if complaint is not None:
        raise UsageError(complaint[0], fix=complaint[1] or f"choose another name, such as `{FIRST_ADMIN}`")
    return _STARTER.format(admin=admin)


def first_admin(environment: Mapping[str, str]) -> str:
    """The user name for whoever sets the lab up: that of the person behind `sudo`, where it is one, else `admin`."""
    name = environment.get("SUDO_USER", "")
    return name if name != "root" and user_name(name) is None else FIRST_ADMIN


def load_users(folder: Path) -> dict[str, Person]:
    """The people in the lab's folder by user name, in the order of the file; empty where there is no users.yaml.

    Raises `LabFileError` with every fault, in reading order.
    """
    path = folder / USERS_FILE
    if not path.exists() and not path.is_symlink():
        return {}
    try:
        return users_from_text(read_lab_file(folder, USERS_FILE))
    except UnreadableError as error:
        raise lab_file_error((Fault(USERS_FILE, 0, 0, str(error)),)) from error


def users_from_text(text: bytes | str) -> dict[str, Person]:
    """The people in the text. Raises as `load_users` does."""
    reader = Reader(parse_yaml(text, USERS_FILE))
    document = reader.document
    values = reader.group(USERS, document.data, ()) if document.readable else {}
    written = document.data or {}
    if document.readable and isinstance(written, dict) and "version" not in written:
        reader.fault((), "`version` is missing", "add `version: 1`")
    entries = values.get("users") or []
    for entry in entries:
        _check_groups(reader, entry.path, entry.value.get("groups") or [])
    if reader.faults:
        raise lab_file_error(tuple(sorted((_with_hint(one) for one in reader.faults), key=_place)))
    return {entry.name: _person(entry.name, entry.value) for entry in entries}


def warnings_of(people: Mapping[str, Person], routes: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """Who is missing among these people; `routes` has the groups of those who may open each (none: everybody)."""
    if not people:
        return (f"nobody can sign in: {USERS_FILE} names no one; ez-homelab users add NAME --groups {ADMINS}",)
    warnings = []
    if not enabled_admins(people):
        warnings.append(f"no admin can sign in: ez-homelab users groups NAME +{ADMINS}")
    members = {group for person in people.values() if not person.disabled for group in person.groups} | {ADMINS}
    for name, groups in routes.items():
        if groups and not members & {*groups}:
            warnings.append(f"nobody may open {name}: no user is in the group {' or '.join(groups)}")
    return tuple(warnings)


def enabled_admins(people: Mapping[str, Person]) -> tuple[str, ...]:
    """The user names of admins who may sign in."""
    return tuple(user for user, person in people.items() if ADMINS in person.groups and not person.disabled)


def _check_groups(reader: Reader, path: tuple[str | int, ...], groups: Iterable[str | None]) -> None:
    seen: set[str] = set()
    for index, group in enumerate(groups):
        if group is None:  # told already
            continue
        if group in seen:
            reader.fault((*path, "groups", index), f"group `{group}` is there twice", "remove one of them")
        seen.add(group)


def _with_hint(fault: Fault) -> Fault:
    key = re.fullmatch("unknown key `(.*)` in user", fault.message)
    return replace(fault, suggestion=_HINTS[key[1].lower()]) if key and key[1].lower() in _HINTS else fault


def _place(fault: Fault) -> tuple[int, int]:
    return fault.line, fault.column


def _person(user: str, values: Mapping[str, object]) -> Person:
    groups = values.get("groups")
    return Person(
        name=str(values.get("name", user)),
        email=str(values.get("email", "")),
        groups=tuple(groups) if isinstance(groups, list) else (),
        disabled=values.get("disabled") == "true",
    )
