"""The people of a lab: edits of users.yaml, and what is asked of the gate about them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from gate_in_memory import EXPIRES, GateInMemory

from ez_homelab.apply.journal import Journal
from ez_homelab.config.edit_users import with_groups
from ez_homelab.config.people import Person
from ez_homelab.errors import LabFileError, PrerequisiteError, UsageError
from ez_homelab.gate_admin import GateError
from ez_homelab.lab.accounts import Account, last_message
from ez_homelab.redaction import clean
from ez_homelab.secrets.value import Secret

if TYPE_CHECKING:
    from engine_in_memory import LabOnFakeServer

USERS = """\
version: 1
users:
  # The boss.
  anna: {groups: [admins]}
  bob: {name: Bob Smith, email: bob@example.org, groups: [family]}
  carl: {disabled: true, groups: [admins]}
"""
PEOPLE = "/opt/stacks/core/config/gate/config/people.json"


@pytest.fixture
def gate(there: LabOnFakeServer, monkeypatch: pytest.MonkeyPatch) -> GateInMemory:
    monkeypatch.setattr("ez_homelab.lab.gate_users.NEWS_PAUSES", (0.0, 0.0))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    (there.folder / "users.yaml").write_text(USERS)
    return GateInMemory(there.host, lambda: there.lab.people)


def notes(there: LabOnFakeServer) -> list[tuple[str, str, str]]:
    return [(note.who, note.command, note.what) for note in Journal(there.journal_path).notes()]


# --- users.yaml ------------------------------------------------------------------------------------------------


def test_an_edit_is_shown_before_it_is_written_and_the_lab_as_it_would_be(
    there: LabOnFakeServer, gate: GateInMemory
) -> None:
    edit, after = there.lab.users.adding("dora", Person("Dora", groups=("kids",)))
    assert there.lab.people.keys() == {"anna", "bob", "carl"}
    assert after.people["dora"] == Person("Dora", groups=("kids",))
    people = next(file for file in after.desired.servers["core"].files if file.path == PEOPLE)
    assert json.loads(people.content)["users"]["dora"]["groups"] == ["kids"]
    edit.write()
    assert there.lab.people == after.people
    assert (there.folder / "users.yaml").read_text() == USERS + "  dora:\n    name: Dora\n    groups: [kids]\n"


def test_the_first_person_makes_the_file(there: LabOnFakeServer) -> None:
    (there.folder / "users.yaml").unlink()
    edit, _ = there.lab.users.adding("anna", Person("anna", groups=("admins",)))
    assert edit.before == ""
    edit.write()
    assert [*there.lab.people] == ["anna"]


def test_mistakes_in_the_file_are_told_by_whatever_reads_it(there: LabOnFakeServer, gate: GateInMemory) -> None:
    (there.folder / "users.yaml").write_text(USERS.replace("email", "mail"))
    for read in (
        lambda: there.lab.people,
        lambda: there.lab.desired,
        lambda: there.lab.users.adding("dora", Person("dora")),
        lambda: there.lab.users.removing("bob"),
    ):
        with pytest.raises(LabFileError, match=r"users\.yaml"):
            read()


def test_the_last_admin_stays_one_unless_forced(there: LabOnFakeServer, gate: GateInMemory) -> None:
    users = there.lab.users
    for take in (
        lambda **how: users.removing("anna", **how),
        lambda **how: users.changing("anna", lambda person: replace(person, disabled=True), **how),
        lambda **how: users.changing("anna", lambda person: with_groups(person, ["-admins"]), **how),
    ):
        with pytest.raises(UsageError) as error:
            take()
        assert error.value.what == "anna is the last admin who may sign in"
        assert "--force" in error.value.fix
        edit, _ = take(force=True)
        assert edit.before != edit.after
    users.changing("carl", lambda person: replace(person, disabled=False))[0].write()
    there.lab.users.removing("anna")[0].write()
    assert [*there.lab.people] == ["bob", "carl"]


def test_without_a_users_file_the_plan_says_so(there: LabOnFakeServer) -> None:
    assert there.lab.desired.warnings == ()
    (there.folder / "users.yaml").unlink()
    assert "nobody can sign in" in there.lab.desired.warnings[-1]


async def test_a_generation_brings_its_people_back(there: LabOnFakeServer, gate: GateInMemory) -> None:
    await there.apply()
    there.lab.users.adding("dora", Person("Dora"))[0].write()
    await there.apply()
    edits, before = await there.lab.rolling_back(1)
    assert [edit.path.name for edit in edits] == ["users.yaml"]
    assert edits[0].after == USERS
    people = next(file for file in before.desired.servers["core"].files if file.path == PEOPLE)
    assert "dora" not in json.loads(people.content)["users"]


async def test_a_person_more_makes_no_container_anew(there: LabOnFakeServer, gate: GateInMemory) -> None:
    await there.apply()
    there.lab.users.adding("dora", Person("Dora"))[0].write()
    assert [action.id for action in (await there.lab.plan()).actions] == [f"core:file:{PEOPLE}"]


# --- what sign-on knows ----------------------------------------------------------------------------------------


async def test_everybody_with_what_the_gate_knows(there: LabOnFakeServer, gate: GateInMemory) -> None:
    gate.accounts["anna"] = {"password": True, "passkeys": 1, "sessions": 2, "last_seen": EXPIRES}
    gate.accounts["bob"] = {"invited_until": EXPIRES}
    there.lab.users.adding("dora", Person("dora"))[0].write()
    found = await there.lab.users.look()
    assert found.unknown == ""
    assert [(row.user, row.state) for row in found.rows] == [
        ("anna", "active"), ("bob", "invited"), ("carl", "disabled"), ("dora", "no password"),
    ]  # fmt: skip
    assert found.rows[0].account == Account(password=True, passkeys=1, sessions=2, last_seen=EXPIRES)
    assert found.rows[1].to_dict() == {
        "user": "bob", "name": "Bob Smith", "email": "bob@example.org", "groups": ["family"], "disabled": False,
        "state": "invited", "password": False, "totp": False, "passkeys": 0, "recovery_left": 0, "sessions": 0,
        "last_seen": None, "invited_until": EXPIRES,
    }  # fmt: skip


async def test_what_could_not_be_asked_is_not_taken_for_nothing(there: LabOnFakeServer, gate: GateInMemory) -> None:
    there.host.answer(("docker", "exec", "-i", "gate", "python3", "-m", "gate.admin"), status=1, stderr="not running")
    found = await there.lab.users.look()
    assert found.unknown == "the gate did not answer"
    assert [row.state for row in found.rows] == ["unknown", "unknown", "disabled"]
    assert {row.to_dict()["password"] for row in found.rows} == {None}


async def test_an_invitation_is_a_link_that_nothing_else_shows(there: LabOnFakeServer, gate: GateInMemory) -> None:
    link = await there.lab.users.invite("bob", hours=2)
    assert (link.user, link.expires) == ("bob", EXPIRES)
    assert link.url.reveal().endswith("-for-bob-120")
    assert link.url.reveal() not in repr(link)
    assert clean(f"see {link.url.reveal()}") == "see [secret]"
    assert notes(there) == [("ann", "ez apply", "invite bob")]


async def test_who_may_not_sign_in_is_not_invited(there: LabOnFakeServer, gate: GateInMemory) -> None:
    for ask in (there.lab.users.invite, there.lab.users.login_link):
        with pytest.raises(UsageError) as error:
            await ask("carl")
        assert error.value.fix == "ez-homelab users enable carl"
    with pytest.raises(UsageError, match="no user `bobb`"):
        await there.lab.users.invite("bobb")
    assert gate.asked == []


async def test_somebody_new_is_invited_as_soon_as_the_gate_knows_of_them(
    there: LabOnFakeServer, gate: GateInMemory
) -> None:
    gate.blind = 2
    link = await there.lab.users.invite_new("bob")
    assert link.url.reveal().endswith("-for-bob-4320")
    assert gate.done == ["invite bob"] * 3
    gate.blind = 3
    with pytest.raises(GateError, match="there is no user bob"):
        await there.lab.users.invite_new("bob")


async def test_what_an_earlier_person_of_that_name_left_opens_nothing(
    there: LabOnFakeServer, gate: GateInMemory
) -> None:
    gate.accounts["bob"] = {"password": True, "totp": True, "sessions": 1, "recovery_left": 9}
    gate.passwords["bob"] = "known to the earlier bob"
    link = await there.lab.users.invite_new("bob")
    assert gate.done == ["invite bob", "passwd bob", "reset-second-factor bob", "sign-out bob", "invite bob"]
    assert gate.passwords["bob"] != "known to the earlier bob"
    assert len(gate.passwords["bob"]) > 30
    assert link.url.reveal().endswith("token-6-for-bob-4320")


async def test_a_login_link_is_for_admins_and_made_by_root(
    there: LabOnFakeServer, gate: GateInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = await there.lab.users.login_link("anna")
    assert link.url.reveal().endswith("-for-anna-10")
    assert notes(there) == [("ann", "ez apply", "login-link anna")]
    with pytest.raises(UsageError) as refused:
        await there.lab.users.login_link("bob")
    assert (refused.value.what, refused.value.fix) == (
        "bob is not in the group admins",
        "in it and able to sign in: anna",
    )
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(PrerequisiteError) as error:
        await there.lab.users.login_link("anna")
    assert error.value.fix == "sudo ez-homelab users login-link anna"
    assert gate.done == ["login-link anna"]


async def test_a_login_link_is_written_down_even_if_none_comes_of_it(
    there: LabOnFakeServer, gate: GateInMemory
) -> None:
    gate.blind = 1
    with pytest.raises(GateError):
        await there.lab.users.login_link("anna")
    assert notes(there) == [("ann", "ez apply", "login-link anna")]


async def test_a_password_goes_by_standard_input_alone(there: LabOnFakeServer, gate: GateInMemory) -> None:
    await there.lab.users.set_password("bob", Secret("correct horse battery"))
    assert gate.passwords == {"bob": "correct horse battery"}
    assert not any("correct horse" in line for line in there.host.operations)
    assert notes(there) == [("ann", "ez apply", "passwd bob")]
    with pytest.raises(GateError) as error:
        await there.lab.users.set_password("bob", Secret("short"))
    assert (error.value.what, error.value.fix) == ("the password is too short", "choose one of at least 8 characters")


async def test_second_factor_and_sessions_are_taken_under_the_lock(there: LabOnFakeServer, gate: GateInMemory) -> None:
    gate.accounts["bob"] = {"password": True, "totp": True, "passkeys": 2, "sessions": 3}
    await there.lab.users.reset_second_factor("bob")
    await there.lab.users.sign_out("bob")
    assert gate.accounts["bob"] == {
        "password": True, "totp": False, "passkeys": 0, "recovery_left": 0, "sessions": 0,
    }  # fmt: skip
    locks = [number for number, line in enumerate(there.host.operations) if line.startswith("lock ")]
    asks = [number for number, line in enumerate(there.host.operations) if "gate.admin" in line]
    assert [ask - lock for lock, ask in zip(locks, asks, strict=True)] == [1, 1]


async def test_the_first_admin_gets_a_link_as_long_as_no_admin_has_a_password(
    there: LabOnFakeServer, gate: GateInMemory
) -> None:
    gate.accounts["bob"] = {"password": True}
    link = await there.lab.users.first_admin_way()
    assert link is not None
    assert link.user == "anna"
    gate.accounts["anna"] = {"password": True}
    assert await there.lab.users.first_admin_way() is None
    (there.folder / "users.yaml").write_text("version: 1\nusers: {bob: {}}\n")
    assert await there.lab.users.first_admin_way() is None


# --- Authelia --------------------------------------------------------------------------------------------------

HEAD = (
    "Date: 2026-11-20 10:00:00.1 +0000 UTC m=+5\n"
    "Recipient: {Bob Smith bob@example.org}\n"
    "Subject: Confirm your identity\n"
)
CODE = (
    HEAD + "A ONE-TIME CODE HAS BEEN GENERATED TO COMPLETE A REQUESTED ACTION\n\nHi Bob,\n\n----\n\nX7KQ2M4P\n\n----\n"
    "Revoke: https://auth.lab.localhost/revoke/one-time-code?id=abc\n"
)
LINK = (
    HEAD.replace("Confirm your identity", "Reset your password")
    + "Hi Bob,\n\nReset https://auth.lab.localhost/reset-password/step2?token=abc.def\n\n"
    "Revoke https://auth.lab.localhost/revoke/reset-password?token=abc\n"
)


def test_the_last_message_is_told_to_whom_it_is_for() -> None:
    bob, anna = Person("Bob Smith", "bob@example.org"), Person("Anna", "anna@example.org")
    found = last_message(LINK + "\n" + CODE, "bob", bob)
    assert found is not None
    assert (found.code, found.link, found.subject) == ("X7KQ2M4P", "", "Confirm your identity")
    found = last_message(CODE + "\n" + LINK, "bob", bob)
    assert found is not None
    assert (found.code, found.link) == ("", "https://auth.lab.localhost/reset-password/step2?token=abc.def")
    assert last_message(CODE, "anna", anna) is None
    assert last_message("", "bob", bob) is None


async def test_codes_are_authelias_and_links_are_the_gates(there: LabOnFakeServer, gate: GateInMemory) -> None:
    with pytest.raises(UsageError) as error:
        await there.lab.users.message("bob")
    assert error.value.what == "there are no codes: the gate sends no messages"
    assert error.value.fix == "ez-homelab users invite bob"
