"""Errors as people and programs read them, and the exit status of each kind."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from ez_homelab import errors
from ez_homelab.apply.executor import Outcome
from ez_homelab.apply.failures import ApplyFailedError, NotSettledError
from ez_homelab.cli.face import json_option, run, told
from ez_homelab.errors import CommandError, EzError, Fault, HealthError, LabFileError
from ez_homelab.plan import Action, Plan


def outcome(name: str, error: EzError | None = None, *, skipped: bool = False) -> Outcome:
    action = Action("core", "service", name, "create", "missing")
    return Outcome(action, "skipped" if skipped else "failed" if error else "done", error)


def shown(error: BaseException, *arguments: str) -> Result:
    @click.command()
    @json_option
    @told
    def command(as_json: bool) -> None:
        raise error

    return CliRunner().invoke(command, arguments)


FIELDS = {"evidence": "it said no", "cause": "it is off", "fix": "switch it on"}
PLAIN = [
    kind for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, EzError) and not issubclass(kind, errors.FaultyFileError)
]  # fmt: skip
STATUSES = {"usage": 2, "unreachable": 4}


@pytest.mark.parametrize("kind", PLAIN)
def test_every_kind_of_error_in_plain_words(kind: type[EzError]) -> None:
    result = shown(kind("it did not work", **FIELDS))
    assert result.exit_code == STATUSES.get(kind.code, 1)
    assert result.stdout == ""
    assert result.stderr == (
        f"error [{kind.code}]: it did not work\n"
        "  evidence  it said no\n"
        "  cause     it is off\n"
        "  fix       switch it on\n"
    )


@pytest.mark.parametrize("kind", PLAIN)
def test_every_kind_of_error_as_one_document(kind: type[EzError]) -> None:
    result = shown(kind("it did not work", **FIELDS), "--json")
    assert result.exit_code == STATUSES.get(kind.code, 1)
    assert result.stderr == ""
    assert json.loads(result.stdout) == {"error": {"code": kind.code, "what": "it did not work", **FIELDS}}


def test_codes_are_different() -> None:
    codes = [
        kind.code for kind in [*PLAIN, LabFileError, errors.CatalogError, errors.FaultyFileError, ApplyFailedError]
    ]
    assert len(set(codes)) == len(codes)


def test_what_is_empty_is_left_out_and_lines_are_indented() -> None:
    assert shown(EzError("no", evidence="one\ntwo")).stderr == (
        "error [failed]: no\n  evidence  one\n            two\n"
    )  # fmt: skip


def test_every_fault_of_a_file_with_its_place() -> None:
    faults = (Fault("homelab.yaml", 3, 5, "no", "yes"), Fault("a.yaml", 0, 0, "gone"))
    error = LabFileError("two mistakes", faults, fix="correct this")
    result = shown(error)
    assert result.exit_code == 2
    assert result.stderr == (
        "error [lab-file]: two mistakes\n  homelab.yaml:3:5: no (yes)\n  a.yaml: gone\n  fix       correct this\n"
    )
    document: dict[str, Any] = json.loads(shown(error, "--json").stdout)
    assert document["error"]["faults"][0] == {
        "file": "homelab.yaml", "line": 3, "column": 5, "message": "no", "suggestion": "yes",
    }  # fmt: skip


def test_every_action_that_failed_is_told_and_not_the_first_alone() -> None:
    error = ApplyFailedError((
        outcome("a", CommandError("a: no", evidence="a said", fix="mend a")), outcome("b"),
        outcome("c", HealthError("c: no", evidence="c said", fix="mend c")), outcome("d", skipped=True),
    ))  # fmt: skip
    result = shown(error)
    assert result.exit_code == 1
    assert result.stderr == (
        "error [apply-failed]: 2 of 4 actions failed; 1 that wait for them were not tried: a: no\n"
        "  evidence  a said\n"
        "  fix       mend a\n"
        "and [unhealthy]: c: no\n"
        "  evidence  c said\n"
        "  fix       mend c\n"
    )
    document = json.loads(shown(error, "--json").stdout)["error"]
    assert [one["code"] for one in document["errors"]] == ["command-failed", "unhealthy"]


def test_what_is_left_to_do_is_the_evidence() -> None:
    left = Plan((Action("core", "service", "wiki/dokuwiki", "create", "missing"),))
    assert "service     wiki/dokuwiki  create: missing" in shown(NotSettledError(left)).stderr


@pytest.mark.parametrize("ended", [KeyboardInterrupt(), asyncio.CancelledError(), click.Abort()])
def test_an_interrupted_command_says_how_to_go_on(ended: BaseException) -> None:
    result = shown(ended)
    assert result.exit_code == 130
    assert result.stderr.strip() == "Interrupted. What was begun can be finished with: ez-homelab apply"


def test_an_error_out_of_several_tasks_is_told_as_one() -> None:
    async def fails() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(one())

    async def one() -> None:
        raise CommandError("no")

    with pytest.raises(CommandError, match="no"):
        run(fails())


def test_a_fault_in_the_program_is_not_told_as_something_expected() -> None:
    async def fails() -> None:
        raise ExceptionGroup("both", [CommandError("no"), ZeroDivisionError("a bug")])

    with pytest.raises(ExceptionGroup):
        run(fails())
