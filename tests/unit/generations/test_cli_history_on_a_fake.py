"""`history` and `rollback`: what they print, what they ask, and that no secret is in it. The server is in memory."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from kept_lab import IMAGES, SECRET, a_lab, fake_server, keep_it

from ez_homelab.cli.app import cli
from ez_homelab.cli.commands import history, rollback
from ez_homelab.config.files import Edit
from ez_homelab.generations import keep
from ez_homelab.generations.index import Generations
from ez_homelab.plan import Action, Plan
from ez_homelab.verify import Proof
from ez_homelab.verify.proof import passed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from click.testing import Result

    from ez_homelab.generations.document import Recorded
    from ez_homelab.generations.index import Generation
    from ez_homelab.render.desired import Desired
    from ez_homelab.testing.fake_host import FakeHost

PLAN = Plan((Action("core", "service", "wiki/dokuwiki", "recreate", "its definition changed"),))


@dataclass
class KeptLab:
    """As much of a lab as the two commands ask of it."""

    index: Generations
    host: FakeHost
    edits: tuple[Edit, ...] = ()
    to_do: Plan = PLAN
    applied: list[Plan] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)
    desired: Desired = field(default_factory=a_lab)

    def history(self, limit: int | None = None) -> tuple[Generation, ...]:
        return self.index.all(limit)

    async def generation(self, number: int) -> Recorded:
        return await keep.load(self.index, number, {"core": self.host})

    @asynccontextmanager
    async def changing(self, *, unasked: bool) -> AsyncIterator[KeptLab]:
        self.held.append(unasked)
        yield self

    async def rolling_back(self, number: int) -> tuple[tuple[Edit, ...], KeptLab]:
        self.index.get(number)
        return self.edits, self

    async def plan(self) -> Plan:
        return self.to_do

    async def apply(self, plan: Plan) -> None:
        self.applied.append(plan)

    async def verify_applied(self, _plan: Plan) -> Proof:
        return Proof((passed("dokuwiki", "answer over HTTPS", "200 at /"),))


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeptLab:
    """Three generations: the wiki joined in the second and went back in the third."""
    (tmp_path / "homelab.yaml").write_text("new\n")
    edit = Edit(tmp_path / "homelab.yaml", "new\n", "old\n")
    lab = KeptLab(Generations(str(tmp_path / "journal.db"), "/opt/homelab"), fake_server(), (edit,))
    for module in (history, rollback):
        monkeypatch.setattr(module, "open_lab", lambda *_words, **_more: lab)
    asyncio.run(fill(lab))
    return lab


async def fill(lab: KeptLab) -> None:
    whole = a_lab()
    core = whole.servers["core"]
    fewer = replace(core, stacks=tuple(stack for stack in core.stacks if stack.name != "wiki"))
    outcome: Any = {"core": "done", "monitoring": "done", "wiki": "went-back"}
    await keep_it(lab.index, {"core": lab.host}, replace(whole, servers={"core": fewer}))
    await keep_it(lab.index, {"core": lab.host}, whole)
    await keep_it(lab.index, {"core": lab.host}, a_lab("more"), outcome="went-back", outcomes=outcome)


def ez(command: Any, *words: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(cli, [command.name, *words], input=answer)


def document(command: Any, *words: str) -> Any:
    result = ez(command, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_history_is_a_table_newest_first_with_what_changed(lab: KeptLab) -> None:
    result = ez(history.history_command)
    rows = result.stdout.splitlines()
    assert result.exit_code == 0
    assert rows[0].split() == ["Number", "Made", "(UTC)", "Who", "Outcome", "Command", "Why", "Changed"]
    assert [row.split()[0] for row in rows[1:4]] == ["3", "2", "1"]
    assert rows[1].endswith("  ~core (wiki went-back)")
    assert rows[2].endswith("  +wiki")
    assert rows[3].endswith("  +core +monitoring")
    assert ["*" in row for row in rows[1:4]] == [True, True, False]


def test_a_limit_hides_rows_and_not_what_changed_against_them(lab: KeptLab) -> None:
    rows = ez(history.history_command, "--limit", "1").stdout.splitlines()
    assert len(rows) == 3
    assert rows[1].endswith("~core (wiki went-back)")
    assert ez(history.history_command, "--limit", "0").exit_code == 2


def test_history_as_a_document(lab: KeptLab) -> None:
    found = document(history.history_command)["generations"]
    assert [(one["number"], one["outcome"], one["changed"], one["running"]) for one in found] == [
        (3, "went-back", ["~core"], True),
        (2, "done", ["+wiki"], True),
        (1, "done", ["+core", "+monitoring"], False),
    ]
    assert found[0]["stacks"] == {"core": "done", "monitoring": "done", "wiki": "went-back"}
    assert found[0]["command"] == "ez-homelab apply"


def test_nothing_was_applied_yet(lab: KeptLab, tmp_path: Path) -> None:
    lab.index = Generations(str(tmp_path / "empty.db"), "/opt/homelab")
    assert ez(history.history_command).stdout == "Nothing was applied yet.\n"
    assert document(history.history_command) == {"generations": []}


def test_one_generation_in_full_and_no_content(lab: KeptLab) -> None:
    shown = ez(history.history_command, "3").stdout
    core = a_lab("more").servers["core"]
    assert "Generation 3, made " in shown
    assert "  stack wiki: went-back\n    dokuwiki  " in shown
    ((reference, digest),) = IMAGES["core"].items()
    assert f"    {reference}  {digest}\n" in shown
    for file in core.files:
        assert f"    {file.sha256[:12]}  {file.mode:04o}  {file.path}\n" in shown
    assert "  overrides/dokuwiki.yaml\n" in shown
    found = document(history.history_command, "3")
    assert found["servers"]["core"]["images"] == IMAGES["core"]
    assert [one["sha256"] for one in found["servers"]["core"]["files"]] == [file.sha256 for file in core.files]
    assert [one["path"] for one in found["lab_files"]] == ["homelab.yaml", "overrides/dokuwiki.yaml"]
    assert SECRET not in shown + json.dumps(found)


@pytest.mark.parametrize("command", [history.history_command, rollback.rollback_command])
def test_a_number_that_there_is_not(lab: KeptLab, command: Any) -> None:
    result = ez(command, "7")
    assert result.exit_code == 2
    assert "there is no generation 7" in result.stderr
    assert "nearest: 2, 3" in result.stderr


def test_a_lost_object_is_a_plain_error(lab: KeptLab) -> None:
    lab.host.files = {path: file for path, file in lab.host.files.items() if lab.index.get(3).tree[2:] not in path}
    result = ez(history.history_command, "3")
    assert result.exit_code == 1
    assert "an object of a generation is missing on core" in result.stderr


def test_rollback_shows_asks_writes_applies_and_proves(lab: KeptLab) -> None:
    result = ez(rollback.rollback_command, "2", "--yes")
    assert result.exit_code == 0, result.output
    assert "-new\n+old\n" in result.stdout
    assert "~ service     wiki/dokuwiki  recreate: its definition changed" in result.stdout
    assert "Data stays as it is" in result.stdout
    assert "dokuwiki answers: https://" in result.stdout
    assert lab.edits[0].path.read_text() == "old\n"
    assert lab.applied == [PLAN]
    assert lab.held == [True], "nobody is asked, so the lock is held from the first look on"


def test_rollback_with_nobody_to_ask_changes_nothing(lab: KeptLab) -> None:
    assert ez(rollback.rollback_command, "2", answer="y\n").exit_code == 2
    assert ez(rollback.rollback_command, "2", "--json").exit_code == 2
    assert lab.edits[0].path.read_text() == "new\n"
    assert lab.applied == []


def test_a_rollback_that_is_turned_down_changes_nothing(lab: KeptLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ez_homelab.cli.terminal.confirm", lambda _question, **_more: False)
    result = ez(rollback.rollback_command, "2")
    assert (result.exit_code, result.stderr) == (0, "Nothing was changed.\n")
    assert lab.edits[0].path.read_text() == "new\n"
    assert lab.applied == []


def test_rollback_may_leave_the_lab_file(lab: KeptLab) -> None:
    found = document(rollback.rollback_command, "2", "--yes", "--keep-lab-file")
    assert (found["generation"], found["edits"]) == (2, [])
    assert found["applied"]["hash"] == PLAN.hash
    assert found["proof"]["holds"] is True
    assert lab.edits[0].path.read_text() == "new\n"
    assert lab.applied == [PLAN]


def test_rollback_to_what_is_there_asks_nothing(lab: KeptLab) -> None:
    lab.edits, lab.to_do = (), Plan(())
    result = ez(rollback.rollback_command, "2")
    assert (result.exit_code, result.stdout) == (0, "Nothing to do: everything is as in generation 2.\n")
    assert document(rollback.rollback_command, "2", "--yes")["proof"] is None
    assert lab.applied == []


def test_a_rollback_of_the_lab_file_alone_writes_it(lab: KeptLab) -> None:
    lab.to_do = Plan(())
    found = document(rollback.rollback_command, "2", "--yes")
    assert [one["diff"] for one in found["edits"]] == [lab.edits[0].diff()]
    assert lab.edits[0].path.read_text() == "old\n"
    assert lab.applied == []


def test_a_server_that_could_not_be_looked_at_is_status_4(lab: KeptLab) -> None:
    lab.to_do = replace(PLAN, unknown=(("server1", "no route to host"),))
    assert ez(rollback.rollback_command, "2", "--yes").exit_code == 4
