"""`ez-homelab users` on a whole lab, whose server and gate are in memory: what is asked, printed and left."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from gate_in_memory import ARGV, EXPIRES, GateInMemory

from ez_homelab.apply.journal import Journal
from ez_homelab.cli.app import cli
from ez_homelab.lab import Homelab
from ez_homelab.up import Preparation
from ez_homelab.verify import Proof
from ez_homelab.verify.proof import failed, passed

if TYPE_CHECKING:
    from pathlib import Path

    from engine_in_memory import LabOnFakeServer

    from ez_homelab.prerequisites import InstallStep

USERS = "version: 1\nusers:\n  # The boss.\n  anna: {groups: [admins]}\n  bob: {name: Bob Smith, groups: [family, y]}\n"
PASSWORD = "correct horse battery staple"


class Face:
    """The command line on the lab."""

    def __init__(self, there: LabOnFakeServer, gate: GateInMemory) -> None:
        self.there = there
        self.gate = gate

    def __call__(self, *words: str, answer: str | None = None) -> Result:
        folder = ["--lab", str(self.there.folder)]
        at = words.index("--") if "--" in words else len(words)
        return CliRunner().invoke(
            cli, [*words[:at], *folder, *words[at:]], prog_name="ez-homelab", input=answer, catch_exceptions=False
        )

    def json(self, *words: str) -> Any:
        result = self(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    @property
    def users(self) -> str:
        return (self.there.folder / "users.yaml").read_text()

    def say(self, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Answer the next question as a person in a terminal would."""
        monkeypatch.setattr("ez_homelab.cli.terminal.confirm", lambda _question, *, yes: yes or answer == "yes")


@pytest.fixture
def ez(there: LabOnFakeServer, monkeypatch: pytest.MonkeyPatch) -> Face:
    made = partial(Homelab, make_host=lambda _name: there.host, journal_path=there.journal_path)

    async def verify(_lab: Homelab, *_: object) -> Proof:
        return Proof((passed("dokuwiki", "answer over HTTPS", "200 at /"),))

    monkeypatch.setattr(Homelab, "verify", verify)
    monkeypatch.setattr("ez_homelab.lab.SETTLE_PAUSES", (0.0,))
    monkeypatch.setattr("ez_homelab.lab.gate_users.NEWS_PAUSES", (0.0,))
    monkeypatch.setattr("ez_homelab.lab.Homelab", made)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    there.write("version: 1\ndomain: lab.localhost\nstacks: {wiki: [dokuwiki]}\n")
    (there.folder / "users.yaml").write_text(USERS)
    return Face(there, GateInMemory(there.host, lambda: there.lab.people))


def link_of(result: Result) -> str:
    """The link that is all there is on standard output."""
    [line] = [line for line in result.stdout.splitlines() if line.startswith("https://auth.")]
    return line


# --- list ------------------------------------------------------------------------------------------------------


def test_list(ez: Face) -> None:
    ez.gate.accounts["anna"] = {
        "password": True, "totp": True, "passkeys": 2, "sessions": 1, "last_seen": "2026-11-22T10:20:30+00:00",
    }  # fmt: skip
    ez.gate.accounts["bob"] = {"passkeys": 1}
    lines = [line.split("  ") for line in ez("users", "list").stdout.splitlines()]
    assert [[cell.strip() for cell in line if cell.strip()] for line in lines] == [
        ["User", "Name", "State", "Password", "Second factor", "Sessions", "Last seen (UTC)", "Groups"],
        ["anna", "anna", "active", "yes", "codes and 2 passkeys", "1", "2026-11-22 10:20", "admins"],
        ["bob", "Bob Smith", "no password", "no", "1 passkey", "0", "never", "family, y"],
    ]


def test_list_where_sign_on_cannot_be_asked(ez: Face) -> None:
    ez.there.host.answer(ARGV, status=1, stderr="Error: container is not running")
    result = ez("users", "list")
    assert result.exit_code == 0
    assert "anna  anna       unknown  ?" in result.stdout
    assert "Not known is what sign-on knows: the gate did not answer." in result.stdout
    assert ez.json("users", "list")["unknown"] == "the gate did not answer"


def test_list_of_nobody(ez: Face) -> None:
    (ez.there.folder / "users.yaml").unlink()
    assert "users add NAME --groups admins" in ez("users", "list").stdout


# --- add -------------------------------------------------------------------------------------------------------


def test_add_shows_asks_applies_and_prints_a_link(ez: Face) -> None:
    result = ez(
        "users", "add", "dora", "--name", "Dora M", "--email", "d@example.org", "--groups", "family,kids", "--yes"
    )
    assert result.exit_code == 0
    assert "+  dora:" in result.stdout
    assert "people.json" in result.stdout
    assert link_of(result).endswith("for-dora-4320")
    assert "valid once, until 2030-01-02 03:04 UTC" in result.stderr
    assert ez.users == USERS + "  dora:\n    name: Dora M\n    email: d@example.org\n    groups: [family, kids]\n"
    assert ez("plan", "--check").exit_code == 0


def test_a_link_is_in_no_file_and_no_journal(ez: Face) -> None:
    token = link_of(ez("users", "add", "dora", "--yes")).rpartition("/")[2]
    journal = Journal(ez.there.journal_path)
    assert [note.what for note in journal.notes()] == ["invite dora"]
    journal.close()
    assert not any(token.encode() in file.content for file in ez.there.host.files.values())
    parent = ez.there.folder.parent
    assert not any(token.encode() in path.read_bytes() for path in parent.rglob("*") if path.is_file())


def test_add_turned_down_changes_nothing(ez: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    ez.say("no", monkeypatch)
    result = ez("users", "add", "dora")
    assert "Nothing was changed." in result.stderr
    assert ez.users == USERS
    assert ez.gate.done == []


def test_add_with_nobody_to_ask(ez: Face) -> None:
    result = ez("users", "add", "dora")
    assert result.exit_code == 2
    assert "there is nobody to ask" in result.stderr
    assert ez.users == USERS


def test_add_whose_link_fails_says_how_to_get_one(ez: Face) -> None:
    ez.gate.blind = 9
    result = ez("users", "add", "dora", "--yes")
    assert result.exit_code == 1
    assert "dora is added, and could not be invited" in result.stderr
    assert "ez-homelab users invite dora" in result.stderr
    assert "dora" in ez.users


def test_a_link_is_told_although_the_proof_fails_that_follows(ez: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    async def verify(_lab: Homelab, *_: object) -> Proof:
        return Proof((failed("dokuwiki", "answer over HTTPS", "502 at /"),))

    monkeypatch.setattr(Homelab, "verify", verify)
    monkeypatch.setattr("ez_homelab.cli.commands.users_edit._touches_services", bool)
    result = ez("users", "add", "dora", "--yes")
    assert result.exit_code == 1
    assert link_of(result).endswith("for-dora-4320")


def test_add_what_cannot_be(ez: Face) -> None:
    for words, told in (
        (("Dora",), "write `dora`"),
        (("anna",), "user `anna` is there already"),
        (("dora", "--email", "x"), "is no e-mail address"),
        (("dora", "--groups", "A"), "write `a`"),
    ):
        result = ez("users", "add", *words, "--yes")
        assert result.exit_code == 2
        assert told in result.stderr
    assert ez.users == USERS


# --- disable, enable, groups, remove ---------------------------------------------------------------------------


def test_disable_and_enable(ez: Face) -> None:
    result = ez("users", "disable", "bob", "--yes")
    assert "bob can no longer sign in, and every session of theirs ends." in result.stdout
    assert "groups: [family, y], disabled: true" in ez.users
    assert "users.yaml says so already." in ez("users", "disable", "bob", "--yes").stdout
    assert ez("users", "enable", "bob", "--yes").exit_code == 0
    assert "disabled: false" in ez.users
    assert ez.gate.done == []


@pytest.mark.parametrize("words", [("disable", "anna"), ("remove", "anna"), ("groups", "anna", "-admins")], ids=str)
def test_the_last_admin_is_kept(ez: Face, words: tuple[str, ...]) -> None:
    result = ez("users", *words, "--yes")
    assert result.exit_code == 2
    assert "anna is the last admin who may sign in" in result.stderr
    assert ez.users == USERS
    assert ez("users", *words, "--yes", "--force").exit_code == 0
    assert ez.users != USERS


@pytest.mark.parametrize(
    ("words", "groups"),
    [
        (("+kids", "-family"), "[y, kids]"),
        (("-family",), "[y]"),
        (("kids,family",), "[family, kids]"),
        (("",), "[]"),
        (("--", "-y"), "[family]"),
    ],
)
def test_groups(ez: Face, words: tuple[str, ...], groups: str) -> None:
    result = ez("users", "groups", "--yes", "bob", *words)
    assert result.exit_code == 0, result.output
    assert f"bob: {{name: Bob Smith, groups: {groups}}}" in ez.users


def test_a_group_to_leave_is_not_read_as_options(ez: Face) -> None:
    # `-family` has `-y` in it.
    result = ez("users", "groups", "bob", "-family")
    assert result.exit_code == 2
    assert "there is nobody to ask" in result.stderr
    assert ez.users == USERS


def test_groups_shown(ez: Face) -> None:
    assert ez("users", "groups", "bob").stdout == "family, y\n"
    assert ez.json("users", "groups", "bob") == {"user": "bob", "groups": ["family", "y"]}
    assert "did you mean `bob`?" in ez("users", "groups", "bobb").stderr


def test_remove(ez: Face) -> None:
    ez.gate.accounts["bob"] = {"password": True}
    result = ez("users", "remove", "bob", "--yes")
    assert result.exit_code == 0
    assert ez.gate.done == ["forget bob"]
    assert ez.gate.accounts == {}
    assert "bob" not in ez.users
    assert "# The boss." in ez.users


def test_remove_where_the_gate_does_not_answer(ez: Face) -> None:
    ez.there.host.answer(ARGV, status=1, stderr="Error: container is not running")
    result = ez("users", "remove", "bob", "--yes")
    assert result.exit_code == 0
    assert "bob is removed; password and second factors could not be: the gate did not answer" in result.stderr
    assert "bob" not in ez.users


# --- what the gate does ----------------------------------------------------------------------------------------


def test_invite_prints_the_link_alone_on_standard_output(ez: Face) -> None:
    result = ez("users", "invite", "bob", "--hours", "1")
    assert result.stdout == link_of(result) + "\n"
    assert result.stdout.endswith("-for-bob-60\n")
    document = ez.json("users", "invite", "bob")
    nothing = {"password": None, "mailed_to": None}
    assert document == {"user": "bob", "url": document["url"], "expires": EXPIRES, **nothing}
    assert document["url"].startswith("https://auth.lab.localhost/link/")


def test_login_link(ez: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    assert link_of(ez("users", "login-link", "anna")).endswith("-for-anna-10")
    assert ez("users", "login-link", "bob").exit_code == 2
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    result = ez("users", "login-link", "anna")
    assert result.exit_code == 1
    assert "only root on the core server" in result.stderr
    assert ez.gate.done == ["login-link anna"]


def test_a_password_from_standard_input(ez: Face) -> None:
    result = ez("users", "passwd", "bob", "--stdin", answer=PASSWORD + "\n")
    assert result.stdout == "bob has a new password.\n"
    assert ez.gate.passwords == {"bob": PASSWORD}
    refused = ez("users", "passwd", "bob", "--stdin", answer="short\n")
    assert refused.exit_code == 1
    assert "choose one of at least 8 characters" in refused.stderr
    assert ez("users", "passwd", "bob", "--stdin", answer="").exit_code == 2
    assert ez("users", "passwd", "bob", answer=PASSWORD).exit_code == 2
    assert not any("horse" in line for line in ez.there.host.operations)


def test_a_password_is_asked_for_twice(ez: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ez_homelab.cli.asked.is_terminal", lambda: True)
    answers = f"{PASSWORD}\nmistyped\n{PASSWORD}\n{PASSWORD}\n"
    result = ez("users", "passwd", "bob", answer=answers)
    assert result.exit_code == 0
    assert "do not match" in result.stderr
    assert ez.gate.passwords == {"bob": PASSWORD}
    assert PASSWORD not in result.output
    assert "there is no user" in ez("users", "passwd", "zora", answer=answers).stderr


@pytest.mark.parametrize(("do", "sentence"), [
    ("reset-second-factor", "bob has no second factor any more."),
    ("sign-out", "bob is signed out everywhere."),
])  # fmt: skip
def test_what_takes_something_away_asks_first(
    ez: Face, monkeypatch: pytest.MonkeyPatch, do: str, sentence: str
) -> None:
    ez.gate.accounts["bob"] = {"password": True, "totp": True, "sessions": 2}
    assert ez("users", do, "bob").exit_code == 2
    assert ez("users", do, "bob", "--json").exit_code == 2
    ez.say("no", monkeypatch)
    assert "Nothing was changed." in ez("users", do, "bob").stderr
    assert ez.gate.done == []
    assert ez("users", do, "bob", "--yes").stdout == sentence + "\n"
    assert ez.json("users", do, "bob", "--yes") == {"user": "bob", "done": sentence}
    assert ez.gate.done == [f"{do} bob"] * 2


def test_codes_are_authelias(ez: Face) -> None:
    result = ez("users", "code", "bob")
    assert result.exit_code == 2
    assert "there are no codes: the gate sends no messages" in result.stderr


def test_names_are_completed(ez: Face) -> None:
    from click.shell_completion import ShellComplete

    complete = ShellComplete(cli, {}, "ez-homelab", "_EZ_HOMELAB_COMPLETE")
    folder = ["--lab", str(ez.there.folder)]
    for command in ("invite", "disable", "groups", "login-link"):
        found = complete.get_completions(["users", command, *folder], "an")
        assert [item.value for item in found] == ["anna"]
    (ez.there.folder / "users.yaml").write_text("users: [")
    assert complete.get_completions(["users", "invite", *folder], "") == []


# --- the first admin -------------------------------------------------------------------------------------------


@pytest.fixture
def up(ez: Face, monkeypatch: pytest.MonkeyPatch) -> Face:
    """`up` on a machine where nothing has to be installed."""

    async def prepare(_lab: Homelab) -> Preparation:
        return Preparation((), ())

    async def install_all(_lab: Homelab, _steps: tuple[InstallStep, ...]) -> None:
        return None

    monkeypatch.setattr("ez_homelab.up.prepare", prepare)
    monkeypatch.setattr("ez_homelab.up.install_all", install_all)
    return ez


def test_up_prints_a_link_as_long_as_no_admin_has_a_password(up: Face) -> None:
    result = up("up", "--yes")
    assert result.exit_code == 0, result.output
    assert "To sign in as anna, open this link and choose a password:" in result.stderr
    assert link_of(result).endswith("for-anna-4320")
    up.gate.accounts["anna"] = {"password": True}
    assert "https://auth.lab.localhost/link" not in up("up", "--yes").output


def test_up_gives_an_older_lab_its_first_admin(up: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    (up.there.folder / "users.yaml").unlink()
    monkeypatch.setenv("SUDO_USER", "dora")
    result = up("up", "--yes")
    assert "+ write users.yaml: dora may sign in, as admin" in result.stdout
    assert [*up.there.lab.people] == ["dora"]
    assert link_of(result).endswith("for-dora-4320")
    (up.there.folder / "users.yaml").unlink()
    assert up("up", "--yes", "--admin", "carl").exit_code == 0
    assert [*up.there.lab.people] == ["carl"]
    assert up("up", "--yes", "--admin", "carl").exit_code == 0
    late = up("up", "--yes", "--admin", "zora")
    assert late.exit_code == 2
    assert "ez-homelab users add zora --groups admins" in late.stderr


def test_up_makes_a_new_lab_with_its_first_admin(up: Face) -> None:
    for name in ("users.yaml", "homelab.yaml"):
        (up.there.folder / name).unlink()
    result = up("up", "--yes", "--images", "registry", "--admin", "dora")
    assert "+ write users.yaml: dora may sign in, as admin" in result.stdout
    assert [*up.there.lab.people] == ["dora"]


def test_up_whose_gate_does_not_answer_says_how_to_get_a_link_later(up: Face) -> None:
    up.there.host.answer(ARGV, status=1, stderr="Error: container is not running")
    result = up("up", "--yes")
    assert result.exit_code == 0
    assert "No link for the first admin: the gate did not answer." in result.stderr
    assert "ez-homelab users invite anna" in result.stderr


def test_init_makes_the_first_admin(tmp_path: Path) -> None:
    for words, name in ((("--admin", "dora"), "dora"), ((), "admin")):
        folder = tmp_path / name
        ended = CliRunner().invoke(cli, ["init", "--lab", str(folder), *words], env={"SUDO_USER": None})
        assert ended.exit_code == 0
        assert f"  {name}:\n" in (folder / "users.yaml").read_text()
    ended = CliRunner().invoke(cli, ["init", "--lab", str(tmp_path / "x"), "--admin", "Dora M"])
    assert ended.exit_code == 2
    assert "write `dora-m`" in ended.stderr
    assert not (tmp_path / "x" / "homelab.yaml").exists()
