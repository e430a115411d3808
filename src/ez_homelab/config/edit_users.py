"""Puts a person into the text of users.yaml, changes or takes one out, and leaves every other character as it is.

As in `edit`, what was done is read again: unless exactly that change came of it, nothing is returned.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ez_homelab.config import rules
from ez_homelab.config.edit import Pair, YamlText, is_list, is_scalar, member, members
from ez_homelab.config.users import USERS_FILE, email, group_name, person_name, user_name, users_from_text
from ez_homelab.errors import LabFileError, UsageError
from ez_homelab.yaml_text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ez_homelab.config.people import Person

_PLAIN = re.compile(r"[^\W\d_][\w.+-]*( [^\W\d_][\w.-]*)*|[A-Za-z][\w.+-]*@[\w.-]+")
_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
"""What some readers of YAML do not take for text."""

NEW = "version: 1\n\nusers:\n"
"""The text that the first person is added to where there is no users.yaml."""


def add_user(text: str, user: str, person: Person) -> str:
    """The text with one person more.

    Raises `UsageError` where something of the person cannot be, or the name is taken, `LabFileError` where the text
    has mistakes already.
    """
    _require_possible(user, person)
    before = users_from_text(text)
    if user in before:
        raise UsageError(f"user `{user}` is there already", fix="choose another user name")
    return _proven(_UsersText(text).add(user, person), before | {user: person}, f"add `{user}`")


def change_user(text: str, user: str, person: Person) -> str:
    """The text with other groups for this person, or with sign-on taken or given back. Raises as `remove_user` does."""
    before = users_from_text(text)
    was = find_user(before, user)
    _require_possible(user, person)
    kept = [group for group in was.groups if group in person.groups]
    new = [group for group in person.groups if group not in was.groups]
    after: str | None = text
    # New ones first: a list that is empty for a moment would no longer say how it is written.
    for group in new:
        after = _UsersText(after).add_group(user, group) if after is not None else None
    for group in was.groups:
        if group not in kept:
            after = _UsersText(after).remove_group(user, group) if after is not None else None
    if person.disabled != was.disabled and after is not None:
        after = _UsersText(after).set_disabled(user, disabled=person.disabled)
    expected = replace(was, groups=(*kept, *new), disabled=person.disabled)
    return _proven(after, {**before, user: expected}, f"change `{user}`")


def remove_user(text: str, user: str) -> str:
    """The text without the person; comments on lines of their own stay.

    Raises `UsageError` where there is no such user, `LabFileError` where the text has mistakes already.
    """
    before = users_from_text(text)
    find_user(before, user)
    expected = {name: person for name, person in before.items() if name != user}
    return _proven(_UsersText(text).remove(user), expected, f"remove `{user}`")


def find_user(people: Mapping[str, Person], user: str) -> Person:
    """The person of that user name. Raises `UsageError` with a suggestion where there is none."""
    if user in people:
        return people[user]
    known = f"it has: {', '.join(people)}" if people else "ez-homelab users add NAME"
    raise UsageError(f"there is no user `{shown(user)}` in {USERS_FILE}", fix=rules.did_you_mean(user, people) or known)


def with_groups(person: Person, changes: Sequence[str]) -> Person:
    """The person in other groups: `+a` and `-b` change one each, or one list `a,b` says all of them.

    Raises `UsageError` where the two are mixed, or the person is to leave a group without being in it.
    """
    signed = [change for change in changes if change[:1] in ("+", "-")]
    if len(signed) < len(changes) != 1:
        raise UsageError("groups are either one list or changes", fix="write `a,b`, or `+a -b`")
    if not signed:
        listed = (name.strip() for name in changes[0].split(","))
        return replace(person, groups=tuple(dict.fromkeys(name for name in listed if name)))
    groups = list(person.groups)
    for change in signed:
        group = change[1:]
        if change[0] == "-":
            _leave(groups, group)
        elif group not in groups:
            groups.append(group)
    return replace(person, groups=tuple(groups))


def _leave(groups: list[str], group: str) -> None:
    if group not in groups:
        known = f"the groups are: {', '.join(groups)}" if groups else "there is no group to leave"
        raise UsageError(f"not in the group `{shown(group)}`", fix=rules.did_you_mean(group, groups) or known)
    groups.remove(group)


def _require_possible(user: str, person: Person) -> None:
    complaints = [user_name(user), person_name(person.name), email(person.email) if person.email else None]
    complaints += [group_name(group) for group in person.groups]
    for complaint in complaints:
        if complaint is not None:
            raise UsageError(complaint[0], fix=complaint[1])


def _proven(text: str | None, expected: Mapping[str, Person], task: str) -> str:
    """The text, if it says what it should."""
    try:
        if text is not None and users_from_text(text) == expected:
            return text
    except LabFileError:
        pass
    raise UsageError(f"{USERS_FILE} is written in a way that is not edited by program", fix=f"{task} by hand")


class _UsersText(YamlText):
    """The text of users.yaml. Each edit returns None where the way it is written is not known here."""

    def add(self, user: str, person: Person) -> str | None:
        users = member(self.root, "users")
        flow = f"{_scalar(user)}: {{{', '.join(_settings(user, person))}}}"
        if users is None:
            return self.insert(self.root, ["", "users:", *_lines(user, person, 2, 2)], f"users: {{{flow}}}")
        indent, step = _indentation(users)
        return self.insert_below(users, _lines(user, person, indent, step), flow)

    def remove(self, user: str) -> str | None:
        users = member(self.root, "users")
        gone = member(users.value, user) if users else None
        return self.cut(users.value, gone) if users and gone else None

    def add_group(self, user: str, group: str) -> str | None:
        groups = self._setting(user, "groups")
        if groups is None:
            return self._add_setting(user, f"groups: [{_scalar(group)}]")
        column = groups.value.start_mark.column if is_list(groups.value) else groups.key.start_mark.column + 2
        return self.insert_below(groups, [f"{' ' * column}- {_scalar(group)}"], _scalar(group))

    def remove_group(self, user: str, group: str) -> str | None:
        groups = self._setting(user, "groups")
        gone = next((one for one in members(groups.value) if one.name == group), None) if groups else None
        return self.cut(groups.value, gone) if groups and gone else None

    def set_disabled(self, user: str, *, disabled: bool) -> str | None:
        word = str(disabled).lower()
        found = self._setting(user, "disabled")
        if found is None:
            return self._add_setting(user, f"disabled: {word}")
        return self.replace(found.value, word) if found.value.value else None

    def _user(self, user: str) -> Pair | None:
        users = member(self.root, "users")
        return member(users.value, user) if users else None

    def _setting(self, user: str, name: str) -> Pair | None:
        found = self._user(user)
        return member(found.value, name) if found else None

    def _add_setting(self, user: str, setting: str) -> str | None:
        users, found = member(self.root, "users"), self._user(user)
        if users is None or found is None:
            return None
        _, step = _indentation(users)
        empty = is_scalar(found.value)
        column = found.key.start_mark.column + step if empty else found.value.start_mark.column
        return self.insert_below(found, [" " * column + setting], setting)


def _indentation(users: Pair) -> tuple[int, int]:
    """The column of a user name in this file, and how much deeper the person's settings stand."""
    if is_scalar(users.value):
        return users.key.start_mark.column + 2, 2
    inside = members(users.value)
    steps = [
        one.value.start_mark.column - one.key.start_mark.column
        for one in inside
        if not is_scalar(one.value) and not one.value.flow_style
    ]
    return users.value.start_mark.column, steps[0] if steps else 2


def _lines(user: str, person: Person, indent: int, step: int) -> list[str]:
    settings = [*_settings(user, person)]
    if not settings:
        return [f"{' ' * indent}{_scalar(user)}: {{}}"]
    return [f"{' ' * indent}{_scalar(user)}:", *(" " * (indent + step) + setting for setting in settings)]


def _settings(user: str, person: Person) -> Iterator[str]:
    if person.name != user:
        yield f"name: {_scalar(person.name)}"
    if person.email:
        yield f"email: {_scalar(person.email)}"
    if person.groups:
        yield f"groups: [{', '.join(map(_scalar, person.groups))}]"
    if person.disabled:
        yield "disabled: true"


def _scalar(text: str) -> str:
    """The text as YAML: in quotes unless it is words of letters, or an address."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)
