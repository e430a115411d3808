"""A running Authelia is told who there is: read, merged, and written only where that changes something."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from ez_homelab.authelia_people import _REPLACE, AutheliaError, tell_people
from ez_homelab.config.people import Person
from ez_homelab.sso.authelia.people import merge_users
from ez_homelab.testing.fake_host import FakeHost

if TYPE_CHECKING:
    from pathlib import Path

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$bm90IGEgcmVhbCBoYXNoIGJ1dCBsb25nIGVub3VnaCE"
ANNA = Person("Anna Smith", "anna@example.org", ("admins",))
READ = ("docker", "exec", "authelia", "cat", "/config/users.yml")


def core_with(content: bytes) -> FakeHost:
    core = FakeHost("core")
    core.answer(READ, stdout=content.decode())
    return core


async def test_whoever_is_new_or_gone_is_told_and_passwords_stay() -> None:
    before = merge_users(None, {"anna": ANNA, "ben": Person("Ben")}, {"anna": HASH, "ben": HASH})
    core = core_with(before)
    core.answer(lambda command: command.argv[:3] == ("docker", "exec", "-i"))
    assert await tell_people(core, {"anna": ANNA, "carol": Person("Carol")}) is True
    written = core.commands[-1]
    assert written.argv[-2:] == ("/config/users.yml", hashlib.sha256(before).hexdigest())
    users = yaml.safe_load(written.stdin)["users"]
    assert users["anna"]["password"] == HASH
    assert users["ben"]["disabled"] is True
    assert "carol" in users
    assert HASH not in str(written)


async def test_nothing_is_written_where_nothing_changes() -> None:
    core = core_with(merge_users(None, {"anna": ANNA}, {"anna": HASH}))
    assert await tell_people(core, {"anna": ANNA}) is False
    assert [command.argv for command in core.commands] == [READ]


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
