"""users.yaml: read whole or with every mistake at once, edited without touching anything else."""

from __future__ import annotations

import json
import os
import re
import string
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ez_homelab.config.edit_users import NEW, add_user, change_user, remove_user, with_groups
from ez_homelab.config.people import Person
from ez_homelab.config.users import (
    USERS,
    first_admin,
    load_users,
    starter_users,
    user_name,
    users_from_text,
    warnings_of,
)
from ez_homelab.errors import LabFileError, UsageError
from ez_homelab.yaml_text import read_yaml

HERE = Path(__file__).parent
EDITS = sorted((HERE / "users-edits").glob("*.yaml"))
FAULTS = sorted((HERE / "users-faults").glob("*.yaml"))
NAMES = st.from_regex(r"[a-z]([a-z0-9._-]{0,30}[a-z0-9])?", fullmatch=True).filter(lambda name: user_name(name) is None)
GROUPS = st.lists(st.sampled_from(["admins", "family", "kids", "null", "no", "a-1"]), unique=True, max_size=4).map(
    tuple
)
SHOWN = st.text(string.ascii_letters + string.digits + " .:#'\"-{}[]&*@%!|>ßé漢🙂\\", min_size=1, max_size=20)
PEOPLE = st.builds(
    Person,
    name=SHOWN.map(str.strip).filter(bool),
    email=st.sampled_from(["", "a@b.example", "1+x@mail.b.example"]),
    groups=GROUPS,
    disabled=st.booleans(),
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.text(max_size=9) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)


# --- reading ---------------------------------------------------------------------------------------------------


def test_people_as_the_file_has_them(tmp_path: Path) -> None:
    (tmp_path / "users.yaml").write_text(
        "version: 1\nusers:\n  anna: {name: Anna Smith, email: anna@example.org, groups: [admins, kids]}\n"
        "  b:\n  c.d-e_f: {disabled: true, groups: }\n"
    )
    assert load_users(tmp_path) == {
        "anna": Person("Anna Smith", "anna@example.org", ("admins", "kids")),
        "b": Person("b"),
        "c.d-e_f": Person("c.d-e_f", disabled=True),
    }


def test_without_a_file_there_is_nobody(tmp_path: Path) -> None:
    assert load_users(tmp_path) == {}
    (tmp_path / "users.yaml").write_text("version: 1\n")
    assert load_users(tmp_path) == {}


@pytest.mark.parametrize("path", FAULTS, ids=lambda path: path.stem)
def test_every_mistake_is_told_at_once(path: Path) -> None:
    with pytest.raises(LabFileError) as error:
        users_from_text(path.read_bytes())
    expected = path.with_suffix(".txt")
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(error.value.evidence + "\n")
    assert error.value.evidence + "\n" == expected.read_text()
    assert "hunter2" not in error.value.evidence
    assert error.value.exit_status == 2


def test_a_link_out_of_the_lab_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.yaml").write_text("version: 1\n")
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "users.yaml").symlink_to("../elsewhere.yaml")
    with pytest.raises(LabFileError, match=r"users\.yaml"):
        load_users(lab)


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("Anna", "write `anna`"),
        ("anna smith", "write `anna-smith`"),
        ("1anna", "write `anna`"),
        ("anna.", "write `anna`"),
        ("verify-x", "choose another one"),
        ("a" * 33, ""),
        ("", ""),
        ("ä", ""),
        ("anna\n", "write `anna`"),
    ],
)
def test_what_is_no_user_name(text: str, suggestion: str) -> None:
    complaint = user_name(text)
    assert complaint is not None
    assert complaint[1] == suggestion


@given(st.dictionaries(st.text(max_size=9), ANYTHING))
def test_nothing_that_people_write_makes_it_crash(users: dict[str, Any]) -> None:
    try:
        users_from_text(json.dumps({"version": 1, "users": users}, ensure_ascii=False))
    except LabFileError as error:
        assert error.faults


def test_the_options_say_what_the_file_may_hold() -> None:
    assert [option.name for option in USERS.options] == ["version", "users"]
    text = yaml.safe_dump({option.name: option.example for option in USERS.options})
    assert users_from_text(text) == {"anna": Person("anna", groups=("admins",))}


# --- the first admin -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "admin"),
        ({"SUDO_USER": "anna"}, "anna"),
        ({"SUDO_USER": "root"}, "admin"),
        ({"SUDO_USER": "Anna Smith"}, "admin"),
        ({"SUDO_USER": ""}, "admin"),
        ({"SUDO_USER": "verify-me"}, "admin"),
    ],
)
def test_the_first_admin_is_who_sets_it_up(environment: dict[str, str], name: str) -> None:
    assert first_admin(environment) == name
    assert users_from_text(starter_users(name)) == {name: Person(name, groups=("admins",))}


def test_the_first_admin_has_a_user_name() -> None:
    with pytest.raises(UsageError) as error:
        starter_users("Anna Smith")
    assert error.value.fix == "write `anna-smith`"


def test_what_nobody_can_open_is_a_warning() -> None:
    routes = {"wiki": (), "films": ("family", "kids"), "prometheus": ("admins",)}
    assert warnings_of({}, routes) == (
        "nobody can sign in: users.yaml names no one; ez-homelab users add NAME --groups admins",
    )
    anna, bob = Person("anna", groups=("admins",)), Person("bob", groups=("kids",))
    assert warnings_of({"anna": anna, "bob": bob}, routes) == ()
    nobody = ("no admin can sign in: ez-homelab users groups NAME +admins",)
    assert warnings_of({"anna": replace(anna, disabled=True), "bob": bob}, routes) == nobody
    assert warnings_of({"anna": anna, "bob": replace(bob, disabled=True)}, routes) == (
        "nobody may open films: no user is in the group family or kids",
    )


# --- editing ---------------------------------------------------------------------------------------------------


def edit(text: str, verb: str, user: str, rest: str) -> str:
    if verb == "add":
        name, mail, groups = rest.split("|")
        return add_user(text, user, Person(name, mail, tuple(filter(None, groups.split(",")))))
    if verb == "remove":
        return remove_user(text, user)
    was = users_from_text(text)[user]
    if verb == "groups":
        return change_user(text, user, replace(was, groups=tuple(re.findall("[a-z]+", rest))))
    return change_user(text, user, replace(was, disabled=verb == "disable"))


@pytest.mark.parametrize("case", EDITS, ids=lambda case: case.stem)
def test_an_edit_changes_its_own_words_only(case: Path) -> None:
    """A case is: a comment line with the edit, the text before, a line `=====`, the text after or `by hand`."""
    command, _, texts = case.read_bytes().decode().partition("\n")
    before, _, after = texts.partition("=====\n")
    verb, user, *rest = command.removeprefix("# ").split(" ", 2)
    if after.strip() == "by hand":
        with pytest.raises(UsageError, match="not edited by program"):
            edit(before, verb, user, "".join(rest))
    else:
        assert edit(before, verb, user, "".join(rest)) == after


@settings(max_examples=40)
@given(
    st.dictionaries(NAMES, PEOPLE, max_size=4), st.sampled_from(["own", "block", "flow", "json"]), NAMES, PEOPLE, GROUPS
)
def test_whoever_comes_changes_and_goes_leaves_everybody_else(
    people: dict[str, Person], style: str, user: str, person: Person, groups: tuple[str, ...]
) -> None:
    people.pop(user, None)
    text = written(people, style)
    assert users_from_text(text) == people
    added = add_user(text, user, person)
    assert users_from_text(added) == people | {user: person}
    changed = change_user(added, user, replace(person, groups=groups, disabled=not person.disabled))
    after = users_from_text(changed)
    assert {*after[user].groups} == {*groups}
    assert after[user] == replace(person, groups=after[user].groups, disabled=not person.disabled)
    assert users_from_text(remove_user(changed, user)) == people


def written(people: dict[str, Person], style: str) -> str:
    if style == "own":
        text = NEW
        for user, person in people.items():
            text = add_user(text, user, person)
        return text
    users = {
        user: {"name": person.name, "groups": [*person.groups], "disabled": person.disabled}
        | ({"email": person.email} if person.email else {})
        for user, person in people.items()
    }
    data = {"version": 1, "users": users}
    if style == "json":
        return json.dumps(data, ensure_ascii=False)
    # Wide, because a name that is broken over lines is not what people write.
    return yaml.safe_dump(data, sort_keys=False, default_flow_style=style == "flow", width=10_000, allow_unicode=True)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 12), max_size=12))
def test_comments_wherever_they_are_stay(places: list[int]) -> None:
    lines = starter_users("anna").splitlines()
    for number, place in enumerate(places):
        lines.insert(place, " " * (place % 7) + f"# remark {number}")
    text = "\n".join(lines) + "\n"
    added = add_user(text, "bob", Person("bob"))
    assert [line for line in added.splitlines() if line != "  bob: {}"] == lines
    assert remove_user(added, "bob") == text
    assert [line for line in change_user(text, "anna", Person("anna", disabled=True)).splitlines() if "#" in line] == [
        line for line in lines if "#" in line
    ]


@pytest.mark.parametrize(
    ("user", "person", "what", "fix"),
    [
        ("anna", Person("anna"), "user `anna` is there already", "choose another user name"),
        ("Bob", Person("Bob"), "`Bob` is no user name", "write `bob`"),
        ("bob", Person("bob", groups=("A b",)), "`A b` is no name", "write `a-b`"),
        ("bob", Person("bob", "nowhere"), "`nowhere` is no e-mail address", "write one such as `anna@example.org`"),
        ("bob", Person("Bob\n"), "a person's name is one line", "write one such as `Anna Smith`"),
    ],
)
def test_what_cannot_be_is_not_written(user: str, person: Person, what: str, fix: str) -> None:
    with pytest.raises(UsageError) as error:
        add_user(starter_users("anna"), user, person)
    assert error.value.what.startswith(what)
    assert error.value.fix == fix


def test_a_user_that_there_is_not_is_suggested() -> None:
    text = starter_users("anna")
    with pytest.raises(UsageError) as error:
        remove_user(text, "ana")
    assert (error.value.what, error.value.fix) == ("there is no user `ana` in users.yaml", "did you mean `anna`?")
    with pytest.raises(UsageError) as error:
        change_user(text, "zora", Person("zora"))
    assert error.value.fix == "it has: anna"
    with pytest.raises(UsageError) as error:
        remove_user(NEW, "anna")
    assert error.value.fix == "ez-homelab users add NAME"


def test_a_file_with_mistakes_is_not_edited() -> None:
    with pytest.raises(LabFileError):
        add_user("version: 1\nusers: {anna: {colour: red}}\n", "bob", Person("bob"))


def test_what_is_written_reads_the_same_elsewhere() -> None:
    text = add_user(NEW, "no", Person("No", "n@x.example", ("no", "null")))
    assert yaml.safe_load(text) == read_yaml(text, "f").data


@pytest.mark.parametrize(
    ("changes", "groups"),
    [
        (["+kids"], ("admins", "family", "kids")),
        (["+family", "-admins"], ("family",)),
        (["-admins", "-family"], ()),
        (["kids,family"], ("kids", "family")),
        (["kids, kids"], ("kids",)),
        ([""], ()),
    ],
)
def test_groups_as_one_list_or_as_changes(changes: list[str], groups: tuple[str, ...]) -> None:
    person = Person("Anna", groups=("admins", "family"))
    assert with_groups(person, changes) == replace(person, groups=groups)


@pytest.mark.parametrize(
    ("changes", "what", "fix"),
    [
        (["kids", "+family"], "groups are either one list or changes", "write `a,b`, or `+a -b`"),
        (["kids", "family"], "groups are either one list or changes", "write `a,b`, or `+a -b`"),
        (["-famly"], "not in the group `famly`", "did you mean `family`?"),
        (["-x"], "not in the group `x`", "the groups are: admins, family"),
        (["-admins", "-family", "-x"], "not in the group `x`", "there is no group to leave"),
    ],
)
def test_groups_that_cannot_be_changed_so(changes: list[str], what: str, fix: str) -> None:
    with pytest.raises(UsageError) as error:
        with_groups(Person("Anna", groups=("admins", "family")), changes)
    assert (error.value.what, error.value.fix) == (what, fix)
