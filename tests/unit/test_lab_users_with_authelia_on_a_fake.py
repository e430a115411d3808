"""The people of a lab whose sign-on is Authelia: passwords, links, second factors, and what it cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from authelia_in_memory import RESET, AutheliaInMemory, PortalInMemory, with_portal
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from ez_homelab.apply.journal import Journal
from ez_homelab.authelia_people import AutheliaError
from ez_homelab.errors import UsageError
from ez_homelab.lab.accounts import FirstPassword, Link, Mailed
from ez_homelab.redaction import clean
from ez_homelab.secrets.value import Secret
from ez_homelab.sso.authelia.people import merge_users

if TYPE_CHECKING:
    from engine_in_memory import LabOnFakeServer

LAB = "version: 1\ndomain: lab.localhost\nsign_on: {engine: authelia}\nstacks: {}\n"
MAIL = "{address: 'submissions://smtp.example.org', sender: lab@example.org}"
USERS = """\
version: 1
users:
  anna: {groups: [admins]}
  bob: {name: Bob Smith, email: bob@example.org, groups: [family]}
  carl: {disabled: true, groups: [admins]}
"""


@pytest.fixture
def authelia(there: LabOnFakeServer, monkeypatch: pytest.MonkeyPatch) -> AutheliaInMemory:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    there.write(LAB)
    (there.folder / "users.yaml").write_text(USERS)
    return AutheliaInMemory(there.host, merge_users(None, there.lab.people, {}))


@pytest.fixture(autouse=True)
def portal(authelia: AutheliaInMemory, monkeypatch: pytest.MonkeyPatch) -> PortalInMemory:
    return with_portal(authelia, monkeypatch)


def hash_of(authelia: AutheliaInMemory, user: str) -> str:
    return str(yaml.safe_load(authelia.users)["users"][user]["password"])


async def test_what_it_knows_and_what_it_does_not_tell(there: LabOnFakeServer, authelia: AutheliaInMemory) -> None:
    await there.lab.users.set_password("bob", Secret("good-enough-for-bob"))
    authelia.totp, authelia.passkeys = {"bob"}, {"bob": 2}
    rows = {row.user: row for row in (await there.lab.users.look()).rows}
    assert [rows[user].state for user in ("anna", "bob", "carl")] == ["no password", "active", "disabled"]
    bob = rows["bob"].account
    assert bob is not None
    assert (bob.password, bob.totp, bob.passkeys, bob.sessions, bob.last_seen) == (True, True, 2, None, None)
    assert rows["bob"].to_dict()["sessions"] is None


async def test_where_it_does_not_run_people_are_still_listed(
    there: LabOnFakeServer, authelia: AutheliaInMemory
) -> None:
    there.host.answer(lambda command: command.argv[0] == "docker", status=1, stderr="No such container: authelia")
    found = await there.lab.users.look()
    assert [row.state for row in found.rows] == ["unknown", "unknown", "disabled"]
    assert "could not be" in found.unknown


async def test_a_password_reaches_its_list_as_a_hash_and_the_journal_not_at_all(
    there: LabOnFakeServer, authelia: AutheliaInMemory
) -> None:
    await there.lab.users.set_password("bob", Secret("good-enough-for-bob"))
    Argon2id.verify_phc_encoded(b"good-enough-for-bob", hash_of(authelia, "bob"))
    assert [note.what for note in Journal(there.journal_path).notes()] == ["passwd bob"]
    assert "good-enough" not in " ".join(map(str, there.host.commands))


@pytest.mark.parametrize(
    ("user", "password", "refusal"),
    [("bob", "short", "too short"), ("carl", "good-enough-for-carl", "disabled"), ("bub", "good-enough", "bub")],
)
async def test_passwords_that_would_not_count_are_refused(
    there: LabOnFakeServer, authelia: AutheliaInMemory, user: str, password: str, refusal: str
) -> None:
    before = authelia.users
    with pytest.raises(UsageError, match=refusal):
        await there.lab.users.set_password(user, Secret(password))
    assert authelia.users == before


async def test_a_link_comes_from_its_own_portal(
    there: LabOnFakeServer, authelia: AutheliaInMemory, portal: PortalInMemory
) -> None:
    for number in (1, 2):
        link = await there.lab.users.invite("bob")
        assert isinstance(link, Link)
        assert link.url.reveal().endswith(f"/reset-password/step2?token=abc.def.{number}")
        assert "abc.def" not in clean(link.url.reveal())
    assert portal.asked == ["bob", "bob"]
    with pytest.raises(UsageError, match="five minutes"):
        await there.lab.users.invite("bob", hours=4)


async def test_an_old_message_is_no_new_link(
    there: LabOnFakeServer, authelia: AutheliaInMemory, portal: PortalInMemory
) -> None:
    await there.lab.users.invite("bob")
    portal.mute = True
    with pytest.raises(AutheliaError, match="wrote no link for bob"):
        await there.lab.users.invite("bob")


async def test_where_mail_is_sent_nobody_here_sees_the_link(
    there: LabOnFakeServer, authelia: AutheliaInMemory, portal: PortalInMemory
) -> None:
    there.write(LAB.replace("authelia}", f"authelia, smtp: {MAIL}}}"))
    assert await there.lab.users.invite("bob") == Mailed("bob", "bob@example.org")
    with pytest.raises(UsageError, match="by mail"):
        await there.lab.users.message("bob")


async def test_the_first_admin_without_an_address_is_given_a_password_once(
    there: LabOnFakeServer, authelia: AutheliaInMemory
) -> None:
    way = await there.lab.users.first_admin_way()
    assert isinstance(way, FirstPassword)
    assert way.user == "anna"
    Argon2id.verify_phc_encoded(way.password.reveal().encode(), hash_of(authelia, "anna"))
    assert way.password.reveal() not in clean(way.password.reveal())
    assert await there.lab.users.first_admin_way() is None


async def test_second_factors_are_taken_away_also_from_who_comes_anew_or_has_gone(
    there: LabOnFakeServer, authelia: AutheliaInMemory, portal: PortalInMemory
) -> None:
    for take in (there.lab.users.reset_second_factor, there.lab.users.invite_new, there.lab.users.forget):
        authelia.totp, authelia.passkeys = {"bob", "anna"}, {"bob": 1}
        await take("bob")
        assert (authelia.totp, authelia.passkeys) == ({"anna"}, {})


async def test_what_it_cannot_do_is_refused_with_what_helps(there: LabOnFakeServer, authelia: AutheliaInMemory) -> None:
    with pytest.raises(UsageError) as signing_out:
        await there.lab.users.sign_out("bob")
    assert "users disable bob" in signing_out.value.fix
    with pytest.raises(UsageError) as link:
        await there.lab.users.login_link("anna")
    assert "users passwd anna" in link.value.fix


async def test_the_last_message_is_shown_to_whom_it_is_for(there: LabOnFakeServer, authelia: AutheliaInMemory) -> None:
    authelia.message = RESET
    assert (await there.lab.users.message("bob")).link.endswith("token=abc.def.NUMBER")
    with pytest.raises(UsageError, match="there is no message for anna"):
        await there.lab.users.message("anna")
