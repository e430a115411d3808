"""What `drift` prints and how it ends. What there is to print, and what became of a choice, is scripted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from ez_homelab.cli.app import cli
from ez_homelab.config.files import Edit
from ez_homelab.errors import UsageError
from ez_homelab.lab import Homelab
from ez_homelab.plan.drift import Drift, shown_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COMPOSE = "/opt/stacks/wiki/compose.yaml"
ENV = "/opt/stacks/wiki/.env"
FIX = f"ez-homelab drift keep {COMPOSE} (or: overwrite, adopt)"
EDITED = Drift("core", "edited-file", COMPOSE, "edited on the server", "text a", "text a", "text b", COMPOSE, FIX)
SECRET = Drift("core", "edited-file", ENV, "kept as you chose", "text c", "text c", "text d", ENV, accepted=True)
HELD = Drift("core", "held", "wiki/notes", "stopped by a person", "running", "running", "stopped by a person")


class ScriptedLab:
    """What the door of the lab answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: tuple[Drift, ...] = ()
        self.edits: tuple[Edit, ...] = ()
        self.decided: list[tuple[str, tuple[str, ...]]] = []

    async def drift(self, _lab: Homelab) -> tuple[Drift, ...]:
        return self.rows

    async def drift_text(self, _lab: Homelab, server: str, path: str) -> tuple[str, str]:
        assert server == "core"
        return shown_text(path, b"level: 1\n"), shown_text(path, b"level: hunter2\n")

    async def decide(self, lab: Homelab, choice: str, paths: Sequence[str]) -> tuple[Edit, ...]:
        assert lab.folder == self.folder
        self.decided.append((choice, tuple(paths)))
        if "/etc/passwd" in paths:
            raise UsageError("/etc/passwd is no edited file of the lab")
        return self.edits

    def __call__(self, *words: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(cli, ["drift", *words, "--lab", str(self.folder)], input=answer)


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedLab:
    scripted = ScriptedLab(tmp_path)
    for name in ("drift", "drift_text", "decide"):
        method = getattr(scripted, name)
        monkeypatch.setattr(Homelab, name, lambda lab, *rest, method=method: method(lab, *rest), raising=False)
    return scripted


def test_no_drift(there: ScriptedLab) -> None:
    assert there().stdout == "No drift: everything is as the last apply left it.\n"
    assert there("--check").exit_code == 0


def test_rows_with_what_differs_and_what_to_do(there: ScriptedLab) -> None:
    there.rows = (EDITED, HELD)
    lines = there().stdout.splitlines()
    assert lines[1].split("  ")[0] == "edited-file"
    assert "the server differs from homelab.yaml and the last apply" in lines[1]
    assert lines[2].endswith("stopped by a person")
    assert lines[3:] == [f"fix: {FIX}"]


def test_the_difference_of_texts_and_of_none_with_secrets(there: ScriptedLab) -> None:
    there.rows = (EDITED, SECRET, HELD)
    shown = there("--diff").stdout
    assert "-level: 1\n+level: hunter2\n" in shown
    assert shown.endswith("\n(not shown: this file holds secrets)\n")
    assert "hunter2" not in there().stdout
    document = json.loads(there("--diff", "--json").stdout)["drift"]
    assert [row["kind"] for row in document] == ["edited-file", "edited-file", "held"]
    assert [bool(row["diff"]) for row in document] == [True, True, False]


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ((EDITED,), 3),
        ((SECRET,), 0),
        ((SECRET, HELD), 3),
        ((Drift("nas", "unknown", "nas", "no route to host"), EDITED), 4),
    ],
)
def test_check_says_so_by_its_status(there: ScriptedLab, rows: tuple[Drift, ...], status: int) -> None:
    there.rows = rows
    assert there("--check").exit_code == status
    assert there().exit_code == (4 if status == 4 else 0)


@pytest.mark.parametrize("choice", ["keep", "overwrite"])
def test_a_choice(there: ScriptedLab, choice: str) -> None:
    result = there(choice, COMPOSE, ENV)
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == [COMPOSE, ENV]
    assert json.loads(there(choice, COMPOSE, "--json").stdout) == {"choice": choice, "paths": [COMPOSE]}
    assert there.decided == [(choice, (COMPOSE, ENV)), (choice, (COMPOSE,))]


def test_options_before_the_choice(there: ScriptedLab) -> None:
    result = CliRunner().invoke(cli, ["drift", "--lab", str(there.folder), "keep", COMPOSE])
    assert (result.exit_code, there.decided) == (0, [("keep", (COMPOSE,))])
    assert CliRunner().invoke(cli, ["drift", "--json", "keep", COMPOSE]).exit_code == 2


@pytest.mark.parametrize("choice", ["keep", "overwrite", "adopt"])
def test_a_choice_that_cannot_be(there: ScriptedLab, choice: str) -> None:
    result = there(choice, "/etc/passwd")
    assert result.exit_code == 2
    assert "/etc/passwd is no edited file" in result.stderr
    assert there(choice).exit_code == 2


def test_adopt_shows_the_change_and_writes_it_when_approved(there: ScriptedLab) -> None:
    path = there.folder / "overrides" / "notes.yaml"
    there.edits = (Edit(path, "", "services: {}\n"),)
    assert there("adopt", COMPOSE).exit_code == 2  # nobody to ask
    assert there("adopt", COMPOSE, "--json").exit_code == 2
    assert not path.exists()
    result = there("adopt", COMPOSE, "--yes")
    assert result.exit_code == 0
    assert f"{path}\n" in result.stdout
    assert "+services: {}" in result.stdout
    assert path.read_text() == "services: {}\n"


def test_adopt_for_programs_and_where_there_is_nothing_to_write(there: ScriptedLab) -> None:
    assert "nothing to adopt" in there("adopt", COMPOSE, "--yes").stdout
    there.edits = (Edit(there.folder / "overrides" / "notes.yaml", "", "services: {}\n"),)
    document = json.loads(there("adopt", COMPOSE, "--yes", "--json").stdout)
    assert document == {"choice": "adopt", "paths": [COMPOSE], "files": [str(there.edits[0].path)]}
    assert there.edits[0].path.read_text() == "services: {}\n"


def test_adopt_that_is_turned_down_writes_nothing(there: ScriptedLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ez_homelab.cli.terminal.confirm", lambda _question, *, yes: yes)
    path = there.folder / "overrides" / "notes.yaml"
    there.edits = (Edit(path, "", "services: {}\n"),)
    result = there("adopt", COMPOSE)
    assert "Nothing was changed." in result.stderr
    assert not path.exists()
