"""`ez-homelab users` in a lab whose sign-on is Authelia: what is printed where, and what comes out with `--json`."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from authelia_in_memory import AutheliaInMemory, with_portal
from click.testing import CliRunner, Result

from ez_homelab.cli.app import cli
from ez_homelab.lab import Homelab
from ez_homelab.sso.authelia.people import merge_users, with_password
from ez_homelab.up import Preparation
from ez_homelab.verify import Proof
from ez_homelab.verify.proof import passed

if TYPE_CHECKING:
    from engine_in_memory import LabOnFakeServer

LAB = "version: 1\ndomain: lab.localhost\nsign_on: {engine: authelia}\nstacks: {}\n"
MAIL = "engine: authelia, smtp: {address: 'submissions://smtp.example.org', sender: lab@example.org}"
USERS = """\
version: 1
users:
  anna: {groups: [admins]}
  bob: {name: Bob Smith, email: bob@example.org, groups: [family]}
"""


class Face:
    """The command line on the lab."""

    def __init__(self, there: LabOnFakeServer, authelia: AutheliaInMemory) -> None:
        self.there = there
        self.authelia = authelia

    def __call__(self, *words: str, answer: str | None = None) -> Result:
        argv = [*words, "--lab", str(self.there.folder)]
        return CliRunner().invoke(cli, argv, prog_name="ez-homelab", input=answer, catch_exceptions=False)

    def json(self, *words: str) -> Any:
        result = self(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def ez(there: LabOnFakeServer, monkeypatch: pytest.MonkeyPatch) -> Face:
    async def verify(_lab: Homelab, *_: object) -> Proof:
        return Proof((passed("authelia", "answer over HTTPS", "200 at /"),))

    made = partial(Homelab, make_host=lambda _name: there.host, journal_path=there.journal_path)
    monkeypatch.setattr("ez_homelab.lab.Homelab", made)
    monkeypatch.setattr(Homelab, "verify", verify)
    monkeypatch.setattr("ez_homelab.lab.SETTLE_PAUSES", (0.0,))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    there.write(LAB)
    (there.folder / "users.yaml").write_text(USERS)
    authelia = AutheliaInMemory(there.host, merge_users(None, there.lab.people, {}))
    with_portal(authelia, monkeypatch)
    return Face(there, authelia)


def test_a_link_stands_alone_on_standard_output(ez: Face) -> None:
    result = ez("users", "invite", "bob")
    assert result.stdout == "https://auth.lab.localhost/reset-password/step2?token=abc.def.1\n"
    document = ez.json("users", "invite", "bob")
    assert (document["url"][-9:], document["password"], document["mailed_to"]) == ("abc.def.2", None, None)
    assert ez("users", "invite", "bob", "--hours", "2").exit_code == 2


def test_a_password_stands_alone_on_standard_output(ez: Face) -> None:
    result = ez("users", "invite", "anna")
    assert len(result.stdout.split()) == 1
    assert "e-mail address" in result.stderr
    assert with_password(ez.authelia.users) == {"anna"}
    document = ez.json("users", "invite", "anna")
    assert (document["url"], document["expires"], document["mailed_to"]) == (None, None, None)
    assert document["password"] not in result.stdout


def test_where_mail_is_sent_there_is_no_secret_to_print(ez: Face) -> None:
    ez.there.write(LAB.replace("engine: authelia", MAIL))
    result = ez("users", "invite", "bob")
    assert result.stdout == ""
    assert "Authelia has sent bob@example.org a link." in result.stderr
    assert ez.json("users", "invite", "bob") == {
        "user": "bob", "url": None, "expires": None, "password": None, "mailed_to": "bob@example.org",
    }  # fmt: skip


def test_a_password_that_is_typed(ez: Face) -> None:
    result = ez("users", "passwd", "bob", "--stdin", answer="good-enough-for-bob\n")
    assert result.stdout == "bob has a new password. Authelia leaves sessions of theirs open.\n"
    assert with_password(ez.authelia.users) == {"bob"}


def test_list_says_what_is_not_known(ez: Face) -> None:
    ez.authelia.totp = {"bob"}
    bob = next(line for line in ez("users", "list").stdout.splitlines() if line.startswith("bob")).split()
    assert bob == ["bob", "Bob", "Smith", "no", "password", "no", "codes", "?", "?", "family"]
    [row] = [row for row in ez.json("users", "list")["users"] if row["user"] == "bob"]
    assert (row["sessions"], row["last_seen"], row["totp"]) == (None, None, True)


def test_whoever_is_added_is_told_of_and_invited(ez: Face) -> None:
    result = ez("users", "add", "bobby", "--name", "Bob Smith", "--email", "bob@example.org", "--yes")
    assert result.exit_code == 0, result.output
    assert "https://auth.lab.localhost/reset-password/step2?token=abc.def.1" in result.stdout.splitlines()
    ez.authelia.totp = {"bobby"}
    assert ez("users", "remove", "bobby", "--yes").exit_code == 0
    assert ez.authelia.totp == set()
    assert b"bobby" in ez.authelia.users, "disabled: whoever knew the name and the password has neither"
    assert ez.json("users", "add", "carl", "--yes")["link"]["password"]


def test_up_gives_the_first_admin_a_way_in_once(ez: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    async def prepare(_lab: Homelab) -> Preparation:
        return Preparation((), ())

    async def install_all(_lab: Homelab, _steps: tuple[object, ...]) -> None:
        return None

    monkeypatch.setattr("ez_homelab.up.prepare", prepare)
    monkeypatch.setattr("ez_homelab.up.install_all", install_all)
    first = ez("up", "--yes")
    assert first.exit_code == 0, first.output
    assert "The password of anna" in first.stderr
    assert with_password(ez.authelia.users) == {"anna"}
    assert "The password of" not in ez("up", "--yes").output


def test_what_it_cannot_do_says_what_helps(ez: Face) -> None:
    result = ez("users", "sign-out", "bob", "--yes")
    assert result.exit_code == 2
    assert "users disable bob" in result.stderr
