"""A running Authelia is told who there is: read, merged, and written only where that changes something."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml
from authelia_in_memory import AutheliaInMemory
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from ez_homelab.authelia_people import _REPLACE, AutheliaError, set_password, tell_people
from ez_homelab.config.people import Person
from ez_homelab.secrets.value import Secret
from ez_homelab.sso.authelia.people import merge_users, with_password
from ez_homelab.testing.fake_host import FakeHost

if TYPE_CHECKING:
    from pathlib import Path

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$bm90IGEgcmVhbCBoYXNoIGJ1dCBsb25nIGVub3VnaCE"
ANNA = Person("Anna Smith", "anna@example.org", ("admins",))
READ = ("docker", "exec", "authelia", "cat", "/config/users.yml")


@pytest.fixture
def core() -> FakeHost:
    return FakeHost("core")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ez_homelab.authelia_people.LOOKS", (0.0, 0.0))
    monkeypatch.setattr("ez_homelab.authelia_people.COOLDOWN", 0.0)


async def test_whoever_is_new_or_gone_is_told_and_passwords_stay(core: FakeHost) -> None:
    there = AutheliaInMemory(core, merge_users(None, {"anna": ANNA, "ben": Person("Ben")}, {"anna": HASH, "ben": HASH}))
    assert await tell_people(core, {"anna": ANNA, "carol": Person("Carol")}) is True
    users = yaml.safe_load(there.users)["users"]
    assert users["anna"]["password"] == HASH
    assert users["ben"]["disabled"] is True
    assert "carol" in users
    assert HASH not in " ".join(map(str, core.commands))


async def test_nothing_is_written_where_nothing_changes(core: FakeHost) -> None:
    AutheliaInMemory(core, merge_users(None, {"anna": ANNA}, {"anna": HASH}))
    assert await tell_people(core, {"anna": ANNA}) is False
    assert [command.argv for command in core.commands] == [READ]


async def test_a_list_that_is_written_in_the_same_moment_is_merged_anew(core: FakeHost) -> None:
    there = AutheliaInMemory(core)
    there.races = 2
    assert await tell_people(core, {"anna": ANNA}) is True
    assert "anna" in yaml.safe_load(there.users)["users"]
    there.races = 3
    with pytest.raises(AutheliaError, match="could not be written"):
        await tell_people(core, {})


async def test_a_change_that_authelia_overlooks_is_made_once_more(core: FakeHost) -> None:
    there = AutheliaInMemory(core)
    there.reads = 2
    assert await tell_people(core, {"anna": ANNA}) is True
    assert there.writes == 2


async def test_an_authelia_that_reads_nothing_again_is_an_error(core: FakeHost) -> None:
    AutheliaInMemory(core).reads = 0
    with pytest.raises(AutheliaError, match="has not read its list"):
        await tell_people(core, {"anna": ANNA})


async def test_where_the_log_cannot_be_read_it_has_its_time(core: FakeHost) -> None:
    there = AutheliaInMemory(core)
    there.readable_log = False
    assert await tell_people(core, {"anna": ANNA}) is True
    assert there.writes == 1


async def test_a_password_is_written_as_a_hash_that_fits_it_alone(core: FakeHost) -> None:
    there = AutheliaInMemory(core, merge_users(None, {"anna": ANNA}, {"anna": HASH}))
    await set_password(core, {"anna": ANNA}, "anna", Secret("from now on"))
    hashed = yaml.safe_load(there.users)["users"]["anna"]["password"]
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    Argon2id.verify_phc_encoded(b"from now on", hashed)
    assert with_password(there.users) == {"anna"}


async def test_an_authelia_that_does_not_run_is_an_error() -> None:
    core = FakeHost("core")
    core.answer(READ, status=1, stderr="Error: No such container: authelia")
    with pytest.raises(AutheliaError, match="could not be read") as raised:
        await tell_people(core, {"anna": ANNA})
    assert "No such container" in (raised.value.evidence or "")


def test_a_list_that_authelia_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """The script itself, with a real shell: it replaces the file only where it is still the one that was merged."""
    file = tmp_path / "users.yml"
    for content, expected in ((b"as merged", b"new"), (b"changed meanwhile", b"changed meanwhile")):
        file.write_bytes(content)
        digest = hashlib.sha256(b"as merged").hexdigest()
        ran = subprocess.run(["sh", "-c", _REPLACE, "sh", str(file), digest], input=b"new")
        assert (file.read_bytes(), ran.returncode == 0) == (expected, expected == b"new")
