"""The reference of `users ... --json` against what the commands print. Server and gate are fake ones."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from gate_in_memory import GateInMemory
from printed_keys import matched

from ez_homelab.apply.run import Applied
from ez_homelab.cli.app import cli
from ez_homelab.lab import Homelab
from ez_homelab.reference.json_documents import DOCUMENTS
from ez_homelab.verify import Proof
from ez_homelab.verify.proof import passed

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine_in_memory import LabOnFakeServer

    from ez_homelab.plan import Plan

LAB = "version: 1\ndomain: lab.localhost\nsign_on: {engine: ENGINE}\nstacks: {wiki: [dokuwiki]}\n"
USERS = "version: 1\nusers:\n  anna: {groups: [admins]}\n  bob: {email: bob@example.org}\n"
MESSAGE = "Date: now\nRecipient: {bob bob@example.org}\nSubject: Confirm\n\nX7KQ2M4P\n"


@pytest.fixture
def ask(there: LabOnFakeServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run a command on the lab and return its document."""

    async def proven(*_: object, **__: object) -> Proof:
        return Proof((passed("dokuwiki", "answer over HTTPS", "200 at /"),))

    async def applied(_lab: Homelab, plan: Plan, **_: object) -> Applied:
        return Applied(plan, ())

    monkeypatch.setattr(Homelab, "verify_applied", proven)
    monkeypatch.setattr(Homelab, "apply", applied)
    made = partial(Homelab, make_host=lambda _name: there.host, journal_path=there.journal_path)
    monkeypatch.setattr("ez_homelab.lab.Homelab", made)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    there.write(LAB.replace("ENGINE", "builtin"))
    (there.folder / "users.yaml").write_text(USERS)
    GateInMemory(there.host, lambda: there.lab.people)

    def run(*words: str, **how: Any) -> Any:
        ended = CliRunner().invoke(cli, [*words, "--lab", str(there.folder), "--json"], catch_exceptions=False, **how)
        assert ended.exit_code == 0, ended.output
        return json.loads(ended.stdout)

    return run


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("add", "dora", "--yes"),
        ("disable", "bob", "--yes"),
        ("enable", "bob", "--yes"),
        ("remove", "bob", "--yes"),
        ("invite", "bob"),
        ("login-link", "anna"),
        ("passwd", "bob", "--stdin"),
        ("reset-second-factor", "bob", "--yes"),
        ("sign-out", "bob", "--yes"),
    ],
    ids=lambda words: words[0],
)
def test_document(words: tuple[str, ...], ask: Callable[..., Any]) -> None:
    documented = DOCUMENTS[f"users {words[0]}"]
    empty = {key for key in documented if key.startswith(("applied.held[]", "applied.kept[]", "applied.unknown[]"))}
    assert matched(documented, ask("users", *words, input="correct horse battery\n")) == set(documented) - empty


def test_groups_shown_and_changed(ask: Callable[..., Any]) -> None:
    documented = DOCUMENTS["users groups"]
    assert matched(documented, ask("users", "groups", "anna")) == {"user", "groups"}
    assert {"diff", "applied", "proof"} <= matched(documented, ask("users", "groups", "anna", "+kids", "--yes"))


def test_code(ask: Callable[..., Any], there: LabOnFakeServer) -> None:
    there.write(LAB.replace("ENGINE", "authelia"))
    there.host.answer(lambda command: command.argv[:4] == ("docker", "exec", "authelia", "cat"), stdout=MESSAGE)
    found = ask("users", "code", "bob")
    assert found["code"] == "X7KQ2M4P"
    assert matched(DOCUMENTS["users code"], found) == set(DOCUMENTS["users code"])
