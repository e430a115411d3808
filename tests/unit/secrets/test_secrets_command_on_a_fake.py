"""`secrets list`, `show` and `rotate`: what they print, and that a value comes out only where it was asked for."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from ez_homelab import redaction
from ez_homelab.cli.app import cli
from ez_homelab.cli.commands import secrets as commands
from ez_homelab.errors import UsageError
from ez_homelab.plan import Plan
from ez_homelab.plan.action import Action
from ez_homelab.secrets.error import SecretsError
from ez_homelab.secrets.table import SecretRow
from ez_homelab.secrets.value import Secret
from ez_homelab.verify.proof import Proof, failed, passed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

VALUE = "k3Jq9ZtLw8VbN2xR"
MADE = "2026-11-22T10:00:00+00:00"
ROWS = (
    SecretRow("wiki", "db_password", MADE, None, pending=False, used_by=("wiki-database", "wiki")),
    SecretRow("wiki", "token", MADE, MADE, pending=False, used_by=("wiki",)),
    SecretRow("wiki", "upgrade", MADE, MADE, pending=True, used_by=("wiki",)),
    SecretRow("notes", "token", MADE, None, pending=False, used_by=()),
)


HOLDS = Proof((passed("wiki", "answer over HTTPS", "200 at /"),))


@dataclass
class FakeLab:
    """What the commands ask of a lab, and what they did with it."""

    plans: Plan
    proof: Proof = HOLDS
    error: Exception | None = None
    done: list[str] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)
    desired: Any = None
    given: Secret | None = None

    def secrets_table(self) -> tuple[SecretRow, ...]:
        if self.error:
            raise self.error
        return ROWS

    def secret(self, instance: str, secret_id: str) -> Secret:
        if (instance, secret_id) not in {(row.instance, row.id) for row in ROWS}:
            raise UsageError(f"{instance} has no secret {secret_id}", fix="ez-homelab secrets list")
        return Secret(VALUE)

    @asynccontextmanager
    async def changing(self, *, unasked: bool) -> AsyncIterator[FakeLab]:
        self.held.append(unasked)
        yield self

    def rotating(self, instance: str, secret_id: str | None) -> FakeLab:
        self.done.append(f"rotating {instance} {secret_id}")
        return self

    def giving(self, instance: str, secret_id: str, value: Secret) -> FakeLab:
        self.done.append(f"giving {instance} {secret_id}")
        self.given = value
        return self

    async def plan(self, *, start_held: bool = False) -> Plan:  # noqa: ARG002
        return self.plans

    async def apply(self, approved: Plan, *, start_held: bool = False) -> None:  # noqa: ARG002
        self.done.append(f"applied {len(approved.actions)}")

    async def verify_applied(self, plan: Plan) -> Proof:  # noqa: ARG002
        return self.proof


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLab]:
    """A lab whose values are known to the redaction, and standard output wrapped, as the program has it."""
    monkeypatch.setattr(redaction, "_known", set())
    redaction._finder.cache_clear()
    redaction.know([VALUE])
    lab = FakeLab(a_plan())
    lab.desired = type("Desired", (), {"routes": ()})()

    def open_lab(_folder: object, *, progress: bool = False) -> FakeLab:
        redaction.wrap_streams()
        return lab

    monkeypatch.setattr(commands, "open_lab", open_lab)
    yield lab
    redaction._finder.cache_clear()


def a_plan(*, unknown: bool = False) -> Plan:
    action = Action("core", "service", "wiki/wiki", "recreate", "the secret token has a new value")
    return Plan((action,), unknown=(("core", "no route"),) if unknown else ())


def ez(*words: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["secrets", *words], input=answer)


def test_list_tells_everything_but_the_values(lab: FakeLab) -> None:
    result = ez("list")
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["App", "Secret", "Made", "Rotated", "Given", "to"]
    assert lines[1] == ["wiki", "db_password", MADE, "-", "wiki-database,", "wiki"]
    assert lines[2] == ["wiki", "token", MADE, MADE, "wiki"]
    assert lines[3] == ["wiki", "upgrade", MADE, "under", "way", "wiki"]
    assert lines[4] == ["notes", "token", MADE, "-", "-"]
    document = json.loads(ez("list", "--json").stdout)
    assert document["secrets"][0] == {
        "instance": "wiki", "id": "db_password", "made": MADE, "rotated": None, "pending": False,
        "used_by": ["wiki-database", "wiki"],
    }  # fmt: skip


def test_show_prints_the_value_and_nothing_else(lab: FakeLab) -> None:
    result = ez("show", "wiki", "token", "--yes")
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{VALUE}\n", "")
    assert json.loads(ez("show", "wiki", "token", "--yes", "--json").stdout) == {
        "app": "wiki", "id": "token", "value": VALUE,
    }  # fmt: skip


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_show_prints_nothing_unasked(lab: FakeLab, words: tuple[str, ...]) -> None:
    result = ez("show", "wiki", "token", *words, answer="y\n")
    assert result.exit_code == 2
    assert VALUE not in result.output
    assert "--yes" in result.output


@pytest.mark.parametrize(("answer", "shown"), [("y\n", f"{VALUE}\n"), ("n\n", "")])
def test_show_asks_a_person(lab: FakeLab, monkeypatch: pytest.MonkeyPatch, answer: str, shown: str) -> None:
    monkeypatch.setattr("ez_homelab.cli.terminal._require_terminal", lambda _question: None)
    result = ez("show", "wiki", "token", answer=answer)
    assert (result.exit_code, result.stdout) == (0, shown)
    assert "Print the secret token of wiki in plain text?" in result.stderr


def test_show_of_what_there_is_not(lab: FakeLab) -> None:
    result = ez("show", "wiki", "nothing", "--yes")
    assert result.exit_code == 2
    assert "wiki has no secret nothing" in result.stderr


def test_rotate_shows_the_plan_and_applies_it(lab: FakeLab) -> None:
    result = ez("rotate", "wiki", "token", "--yes")
    assert result.exit_code == 0, result.output
    assert lab.done == ["rotating wiki token", "applied 1"]
    assert lab.held == [True], "nobody is asked, so the lock is held from the first look on"
    assert "wiki/wiki" in result.stdout


def test_rotate_of_a_whole_app_as_one_document(lab: FakeLab) -> None:
    document = json.loads(ez("rotate", "wiki", "--yes", "--json").stdout)
    assert lab.done == ["rotating wiki None", "applied 1"]
    assert (document["app"], document["id"], document["proof"]["holds"]) == ("wiki", None, True)
    assert document["applied"]["actions"][0]["name"] == "wiki/wiki"


def test_rotate_with_nobody_to_ask_changes_nothing(lab: FakeLab) -> None:
    for words in ((), ("--json",)):
        assert ez("rotate", "wiki", *words, answer="y\n").exit_code == 2
    assert lab.done == ["rotating wiki None"]


@pytest.mark.parametrize("name", [("authelia/smtp_password",), ("authelia", "smtp_password")])
def test_set_takes_the_value_from_standard_input_and_tells_nobody(lab: FakeLab, name: tuple[str, ...]) -> None:
    result = ez("set", *name, "--stdin", "--yes", answer="mail-Password-1\nmore\n")
    assert result.exit_code == 0, result.output
    assert lab.done == ["giving authelia smtp_password", "applied 1"]
    assert lab.given is not None
    assert lab.given.reveal() == "mail-Password-1"
    assert "mail-Password-1" not in result.output
    assert "mail-Password-1" not in redaction.clean("it is mail-Password-1")


@pytest.mark.parametrize(
    ("words", "typed", "refusal"),
    [
        (("authelia",), "x\n", "which secret is meant?"),
        (("authelia/smtp_password", "smtp_password"), "x\n", "which secret is meant?"),
        (("authelia/",), "x\n", "which secret is meant?"),
        (("authelia/smtp_password",), "\n", "the value is empty"),
    ],
)
def test_set_without_a_secret_or_a_value_changes_nothing(
    lab: FakeLab, words: tuple[str, ...], typed: str, refusal: str
) -> None:
    result = ez("set", *words, "--stdin", "--yes", answer=typed)
    assert (result.exit_code, refusal in result.stderr) == (2, True)
    assert lab.done == []


def test_set_with_nobody_to_ask_for_the_value_changes_nothing(lab: FakeLab) -> None:
    result = ez("set", "authelia/smtp_password", "--yes")
    assert (result.exit_code, "say --stdin" in result.stderr) == (2, True)
    assert lab.done == []


def test_rotate_ends_as_apply_does(lab: FakeLab) -> None:
    lab.proof = Proof((failed("wiki", "answer over HTTPS", "502 at /"),))
    assert ez("rotate", "wiki", "--yes").exit_code == 1
    lab.proof = Proof(())
    lab.plans = a_plan(unknown=True)
    assert ez("rotate", "wiki", "--yes").exit_code == 4


def test_a_store_that_does_not_open_is_told(lab: FakeLab) -> None:
    lab.error = SecretsError("the key is missing", fix="restore it")
    result = ez("list")
    assert result.exit_code == 1
    assert "error [secrets]: the key is missing" in result.stderr


def test_a_shell_completes_the_ids_of_the_app(lab: FakeLab) -> None:
    command = commands.secrets_command.commands["rotate"]
    context = command.make_context("rotate", ["wiki"], resilient_parsing=True)
    parameter = command.params[1]
    assert commands.complete_secret(context, parameter, "") == ["db_password", "token", "upgrade"]
    assert commands.complete_secret(context, parameter, "to") == ["token"]
    lab.error = SecretsError("the key is missing")
    assert commands.complete_secret(context, parameter, "") == []
