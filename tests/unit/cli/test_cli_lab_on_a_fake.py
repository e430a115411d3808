"""Commands on a whole lab, whose server is in memory: what they print, and how they end."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from ez_homelab.cli.app import cli
from ez_homelab.lab import Homelab
from ez_homelab.testing.fake_host import FakeHost
from ez_homelab.verify import Proof
from ez_homelab.verify.proof import failed, passed
from ez_homelab.waker_admin import ASK_WAKER

if TYPE_CHECKING:
    from pathlib import Path

    from engine_in_memory import LabOnFakeServer

    from ez_homelab.apply.run import Applied
    from ez_homelab.plan import Plan

ONE_APP = "version: 1\ndomain: lab.localhost\nstacks: {wiki: [dokuwiki]}\n"


class Face:
    """The command line, on a lab whose server is in memory. What `verify` finds there is `proof`: nothing listens."""

    def __init__(self, there: LabOnFakeServer) -> None:
        self.there = there
        self.proof = Proof((passed("dokuwiki", "answer over HTTPS", "200 at /"),))

    def __call__(self, *words: str, answer: str | None = None) -> Result:
        folder = ["--lab", str(self.there.folder)]
        return CliRunner().invoke(cli, [*words, *folder], prog_name="ez-homelab", input=answer)

    def json(self, *words: str) -> Any:
        result = self(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def ez(there: LabOnFakeServer, monkeypatch: pytest.MonkeyPatch) -> Face:
    face = Face(there)
    made = partial(Homelab, make_host=lambda _name: there.host, journal_path=there.journal_path)

    async def verify(_lab: Homelab, *_: object) -> Proof:
        return face.proof

    monkeypatch.setattr(Homelab, "verify", verify)
    monkeypatch.setattr("ez_homelab.lab.SETTLE_PAUSES", (0.0,))
    monkeypatch.setattr("ez_homelab.lab.Homelab", made)
    there.write(ONE_APP)
    return face


def test_plan_shows_all_and_check_says_so_by_its_status(ez: Face) -> None:
    shown = ez("plan")
    assert shown.exit_code == 0
    assert "+ service     wiki/dokuwiki  create: missing" in shown.stdout
    assert shown.stderr == ""
    assert ez("plan", "--check").exit_code == 3
    assert ez.there.host.orders() == []
    assert ez("apply", "--yes").exit_code == 0
    assert ez("plan", "--check").exit_code == 0
    assert ez("plan").stdout == "Nothing to do: the servers are as the lab file says.\n"
    assert ez.json("plan") == {
        "hash": ez.json("plan")["hash"],
        "actions": [],
        "held": [],
        "kept": [],
        "unknown": [],
        "warnings": [],
    }


@pytest.mark.parametrize("words", [("plan",), ("plan", "--check"), ("apply", "--yes"), ("status",)])
def test_a_server_that_cannot_be_reached_is_status_4(ez: Face, words: tuple[str, ...]) -> None:
    ez.there.host.unreachable = "no route to host"
    result = ez(*words)
    assert result.exit_code == 4
    assert "core could not be reached" in result.output
    assert "Traceback" not in result.output


def test_apply_does_what_it_showed_and_says_where_the_apps_are(ez: Face) -> None:
    result = ez("apply", "--yes")
    assert result.exit_code == 0
    assert "✓ create service wiki/dokuwiki" in result.stderr
    assert "dokuwiki answers: https://dokuwiki.lab.localhost/" in result.stdout
    again = ez("apply", "--yes")
    assert (again.exit_code, again.stderr) == (0, "")
    assert again.stdout == "Nothing to do: the servers are as the lab file says.\n"


def test_apply_as_one_document(ez: Face) -> None:
    document = ez.json("apply", "--yes")
    assert {action["kind"] for action in document["applied"]["actions"]} >= {"service", "network", "file"}
    assert document["proof"]["holds"] is True
    assert ez.json("apply", "--yes")["applied"]["actions"] == []


def test_apply_with_nobody_to_ask_changes_nothing(ez: Face) -> None:
    result = ez("apply", answer="y\n")
    assert result.exit_code == 2
    assert "there is nobody to ask" in result.stderr
    assert ez.there.host.orders() == []


def test_apply_tells_every_action_that_failed(ez: Face) -> None:
    ez.there.host.without = {"dokuwiki/dokuwiki:2026-07-14b", "traefik:v3.7.15"}
    result = ez("apply", "--yes")
    assert result.exit_code == 1
    for name in ez.there.host.without:
        assert f"the image {name} could not be pulled on core" in result.stderr
    errors = json.loads(ez("apply", "--yes", "--json").stdout)["error"]["errors"]
    assert len(errors) == 2


def test_a_proof_that_does_not_hold_after_an_apply_is_a_failure(ez: Face) -> None:
    ez.proof = Proof((failed("dokuwiki", "answer over HTTPS", "502 at /, expected 200"),))
    result = ez("apply", "--yes")
    assert result.exit_code == 1
    assert "dokuwiki: answer over HTTPS: 502 at /, expected 200" in result.stderr


def test_add_and_remove_edit_show_and_apply(ez: Face) -> None:
    assert ez("apply", "--yes").exit_code == 0
    added = ez("add", "glances", "--yes")
    assert added.exit_code == 0
    assert [line for line in added.stdout.splitlines() if line.startswith("+stacks:") and "glances" in line]
    assert "+ service     monitoring/glances  create: missing" in added.stdout
    assert "glances" in ez.there.host.containers
    document = ez.json("remove", "glances", "--yes")
    assert {action["id"] for action in document["applied"]["actions"]} >= {"core:service:monitoring/glances"}
    assert "glances" not in ez.there.host.containers
    there = [app["name"] for app in ez.json("status")["apps"]]
    assert there == ["docker-socket-proxy", "gate", "traefik", "dokuwiki"]


def test_add_with_nobody_to_ask_changes_nothing(ez: Face) -> None:
    result = ez("add", "glances")
    assert result.exit_code == 2
    assert (ez.there.folder / "homelab.yaml").read_text() == ONE_APP


def test_add_of_an_app_that_there_is_not(ez: Face) -> None:
    result = ez("add", "glance", "--yes")
    assert result.exit_code == 2
    assert "did you mean `glances`?" in result.stderr.lower()


def test_add_where_the_server_cannot_be_reached_is_status_4(ez: Face) -> None:
    ez.there.host.unreachable = "no route to host"
    assert ez("add", "glances", "--yes").exit_code == 4


def test_mistakes_in_the_lab_file_with_their_places(ez: Face) -> None:
    ez.there.write("version: 1\ndomain: lab.localhost\nstacks: {wiki: [dokuwikki]}\ncolour: red\n")
    for words in (("check",), ("plan",), ("apply", "--yes"), ("down",), ("add", "glances", "--yes")):
        result = ez(*words)
        assert result.exit_code == 2
        assert "homelab.yaml:3:" in result.stderr
        assert "homelab.yaml:4:1:" in result.stderr
    assert ez.there.host.operations == []


def test_check_looks_at_no_server(ez: Face) -> None:
    result = ez("check")
    assert result.stdout == f"{ez.there.folder / 'homelab.yaml'} is fine: 1 apps, 2 addresses.\n"
    assert ez.json("check")["routes"] == [
        {"name": "gate", "address": "https://auth.lab.localhost/"},
        {"name": "dokuwiki", "address": "https://dokuwiki.lab.localhost/"},
    ]
    assert ez.there.host.operations == []


def test_status_by_table_document_and_exit_status(ez: Face) -> None:
    before = ez("status")
    assert before.exit_code == 1
    ez("apply", "--yes")
    after = ez("status")
    assert after.exit_code == 0
    rows = [line.split() for line in after.stdout.splitlines()]
    assert rows[0] == ["App", "Stack", "State", "Address", "Evidence"]
    assert ["dokuwiki", "wiki", "running", "https://dokuwiki.lab.localhost/", "healthy"] in rows
    assert after.stdout == "".join(f"{line.rstrip()}\n" for line in after.stdout.splitlines())


def test_verify_by_table_document_and_exit_status(ez: Face) -> None:
    held = ez("verify")
    assert held.exit_code == 0
    assert held.stdout.splitlines()[1].split() == ["dokuwiki", "answer", "over", "HTTPS", "passed", "200", "at", "/"]
    ez.proof = Proof((failed("dokuwiki", "answer over HTTPS", "502 at /"),))
    assert ez("verify").exit_code == 1
    assert json.loads(ez("verify", "--json").stdout)["holds"] is False


def test_down_and_purge(ez: Face) -> None:
    assert ez("down").stdout == "Nothing was up.\n"
    ez("apply", "--yes")
    assert ez("down").stdout == "Down: wiki, core. Data stays.\n"
    ez("apply", "--yes")
    refused = ez("down", "--purge", answer="lab.localhost\n")
    assert refused.exit_code == 2
    assert "  ! volume dokuwiki-storage with all data in it" in refused.stdout
    assert ez.there.host.volumes
    assert json.loads(ez("down", "--purge", "--json").stdout)["error"]["code"] == "usage"
    purged = ez("down", "--purge", "--yes")
    assert purged.exit_code == 0
    assert not ez.there.host.volumes
    assert not ez.there.host.containers
    assert ez("down", "--purge", "--yes").stdout == "Nothing was there.\n"


def test_logs(ez: Face) -> None:
    assert ez("logs", "dokuwiki").stdout == "dokuwiki says something\n"
    assert ez.json("logs", "dokuwiki") == {"app": "dokuwiki", "lines": ["dokuwiki says something"]}
    missing = ez("logs", "dokuwikki")
    assert (missing.exit_code, "did you mean dokuwiki?" in missing.stderr) == (2, True)


def test_the_lab_certificate_on_standard_output_and_nothing_else(ez: Face) -> None:
    assert ez("trust", "--print").exit_code == 2
    ez("apply", "--yes")
    printed = ez("trust", "--print")
    assert printed.stdout.startswith("-----BEGIN CERTIFICATE-----\n")
    assert printed.stdout.endswith("-----END CERTIFICATE-----\n")
    assert printed.stderr == ""


def test_init(ez: Face) -> None:
    ez.there.folder = ez.there.folder.parent / "new"
    result = ez("init", "--domain", "home.localhost")
    assert result.exit_code == 0
    assert "Next: read homelab.yaml" in result.stdout
    again = ez("init")
    assert again.exit_code == 2
    assert "there is a lab in" in again.stderr
    wrong = CliRunner().invoke(cli, ["init", "--domain", "not a domain", "--lab", str(ez.there.folder / "x")])
    assert wrong.exit_code == 2


def test_catalog(ez: Face) -> None:
    assert {"dokuwiki", "glances", "prometheus"} <= {app["id"] for app in ez.json("catalog")["apps"]}
    assert ez("catalog").stdout.startswith("App")


@pytest.mark.parametrize("words", [("apply",), ("add", "dokuwiki", "--name", "notes"), ("remove", "glances")])
def test_json_asks_nobody_and_so_needs_a_yes(ez: Face, words: tuple[str, ...]) -> None:
    before = (ez.there.folder / "homelab.yaml").read_text()
    result = ez(*words, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["fix"] == "look at `ez-homelab plan`, then add --yes"
    assert (ez.there.folder / "homelab.yaml").read_text() == before
    assert not ez.there.host.containers


def test_doctor_needs_no_lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ez_homelab.lab.Homelab", partial(Homelab, make_host=FakeHost))
    nowhere = tmp_path / "no-lab-here"
    result = CliRunner().invoke(cli, ["doctor", "--json", "--lab", str(nowhere)], prog_name="ez-homelab")
    assert result.exit_code == 1, result.output
    assert "docker-missing" in {finding["code"] for finding in json.loads(result.stdout)["findings"]}
    assert not nowhere.exists()


def moves_before_applies(ez: Face, monkeypatch: pytest.MonkeyPatch, times: int) -> list[str]:
    """Let the server move between the plan and so many of the following applies."""
    left = ["move"] * times
    apply = Homelab.apply

    async def moved(lab: Homelab, plan: Plan, *, start_held: bool = False) -> Applied:
        if left:
            name = next(iter(lab.desired.servers["core"].images)).reference
            images = ez.there.host.images
            images.remove(name) if name in images else images.append(name)
            left.pop()
        return await apply(lab, plan, start_held=start_held)

    monkeypatch.setattr(Homelab, "apply", moved)
    return left


@pytest.mark.parametrize("words", [("apply", "--yes"), ("add", "glances", "--yes")], ids=lambda words: words[0])
def test_who_is_not_asked_is_not_troubled_by_a_server_that_moves(
    ez: Face, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    left = moves_before_applies(ez, monkeypatch, 2)
    result = ez(*words)
    assert result.exit_code == 0, result.output
    assert left == []
    assert ez("plan", "--check").exit_code == 0


def test_a_person_who_was_asked_and_a_server_that_never_keeps_still_are_told(
    ez: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves_before_applies(ez, monkeypatch, 4)
    monkeypatch.setattr("ez_homelab.cli.terminal.confirm", lambda *_words, **_yes: True)
    asked = ez("apply")
    assert "[plan-stale]" in asked.stderr
    unasked = ez("apply", "--yes")
    assert "[plan-stale]" in unasked.stderr
    assert ez.there.runs() == []


SLEEPER = "version: 1\ndomain: lab.localhost\nstacks: {wiki: [{dokuwiki: {lazy: stop}}, glances]}\n"
ASLEEP = {
    "state": "asleep", "since": 60.0, "scheduled": False, "trouble": "", "failures": 0, "reason": "",
    "wakes": {"count": 12, "p50": 1.24, "p95": 3.42},
}  # fmt: skip


@pytest.fixture
def sleeper(ez: Face, monkeypatch: pytest.MonkeyPatch) -> Face:
    """A lab with an app that sleeps, and a waker that tells of it."""
    monkeypatch.setattr("ez_homelab.waker_admin.ASKED_AGAIN", (0.0, 0.0))
    ez.there.write(SLEEPER)
    assert ez("apply", "--yes").exit_code == 0
    answer = json.dumps({"apps": {"dokuwiki": ASLEEP}, "memory_saved": 1})
    ez.there.host.answer((*ASK_WAKER, "status"), stdout=answer)
    return ez


def test_status_of_what_sleeps(sleeper: Face) -> None:
    shown = sleeper("status")
    assert shown.exit_code == 0
    row = next(line for line in shown.stdout.splitlines() if line.startswith("dokuwiki"))
    assert " asleep " in row
    assert row.endswith("asleep: wakes when somebody opens it; 12 wakes, half of them within 1.2 s, 95 % within 3.4 s")
    assert "Asleep: 1 of 6 apps; " in shown.stdout
    assert shown.stdout.endswith(" MB of memory saved now.\n")
    document = sleeper.json("status")
    (wiki,) = [app for app in document["apps"] if app["name"] == "dokuwiki"]
    assert wiki["on_demand"]["wakes"] == {"count": 12, "p50": 1.24, "p95": 3.42}
    assert document["memory_saved"] == wiki["on_demand"]["memory"] > 0


def test_wake_and_sleep(sleeper: Face) -> None:
    sleeper.there.host.answer((*ASK_WAKER, "wake", "dokuwiki"), stdout='{"app": "dokuwiki", "state": "awake"}')
    woken = sleeper("wake", "dokuwiki")
    assert (woken.exit_code, woken.stdout) == (0, "dokuwiki is awake: https://dokuwiki.lab.localhost/\n")
    assert "✓ wake dokuwiki" in woken.stderr
    asleep = sleeper("sleep", "dokuwiki")
    assert (asleep.exit_code, asleep.stdout) == (0, "dokuwiki is asleep\n")
    assert "✓ put dokuwiki to sleep" in asleep.stderr
    (told,) = sleeper.json("sleep", "dokuwiki")["apps"]
    assert (told["app"], told["group"], told["server"], told["state"]) == ("dokuwiki", "dokuwiki", "core", "asleep")


def test_wake_and_sleep_that_do_not_work(sleeper: Face) -> None:
    assert sleeper("wake").exit_code == 2
    unknown = sleeper("wake", "dokuwikki")
    assert unknown.exit_code == 2
    assert "did you mean dokuwiki?" in unknown.stderr
    never = sleeper("sleep", "glances")
    assert never.exit_code == 2
    assert "glances never sleeps" in never.stderr
    refusal = {"error": "dokuwiki is in use: it stays awake", "kind": "in use", "fix": "try again when nobody uses it"}
    sleeper.there.host.answer((*ASK_WAKER, "sleep", "dokuwiki"), status=1, stdout=json.dumps(refusal))
    used = sleeper("sleep", "dokuwiki")
    assert used.exit_code == 1
    assert "error [app-in-use]: dokuwiki is in use: it stays awake" in used.stderr
    assert "✗ put dokuwiki to sleep" in used.stderr


def test_those_that_did_are_told_before_the_one_that_did_not(sleeper: Face) -> None:
    sleeper.there.write(SLEEPER.replace("glances", "radicale: {lazy: stop}"))
    refusal = {"error": "dokuwiki is in use: it stays awake", "kind": "in use", "fix": "try again when nobody uses it"}
    sleeper.there.host.answer((*ASK_WAKER, "sleep", "dokuwiki"), status=1, stdout=json.dumps(refusal))
    sleeper.there.host.answer((*ASK_WAKER, "sleep", "radicale"), stdout='{"app": "radicale", "state": "asleep"}')
    some = sleeper("sleep", "dokuwiki", "radicale")
    assert (some.exit_code, some.stdout) == (1, "radicale is asleep\n")
    assert "error [on-demand]: 1 of 2 did not do as they were told: dokuwiki is in use" in some.stderr
    document = json.loads(sleeper("sleep", "dokuwiki", "radicale", "--json").stdout)
    assert [one["app"] for one in document["error"]["done"]] == ["radicale"]


def test_the_names_of_what_may_sleep_are_completed(sleeper: Face) -> None:
    complete = ShellComplete(cli, {}, "ez-homelab", "_EZ_HOMELAB_COMPLETE")
    folder = ["--lab", str(sleeper.there.folder)]
    for command in ("wake", "sleep"):
        assert [item.value for item in complete.get_completions([command, *folder], "")] == ["dokuwiki"]
        assert complete.get_completions([command, *folder, "dokuwiki"], "") == []
    sleeper.there.write("version: 1\n")
    assert complete.get_completions(["wake", *folder], "") == []
