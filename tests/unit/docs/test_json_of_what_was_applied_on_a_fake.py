"""The reference of `--json` against commands that tell of what was applied: history, drift, images, secrets."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from printed_keys import matched

from ez_homelab.apply.pending import Pending
from ez_homelab.apply.way_back import GoBackFailedError, WentBackError
from ez_homelab.cli.app import cli
from ez_homelab.errors import CommandError, HealthError
from ez_homelab.hosts.memory import MemoryFile
from ez_homelab.images.inventory import ImageRow, Manifest, Prunable, StaleImage
from ez_homelab.images.lock import FILE
from ez_homelab.lab import Homelab
from ez_homelab.reference.json_documents import DOCUMENTS, ERROR, GO_BACK_FAILED, WENT_BACK
from ez_homelab.verify.proof import Proof, passed

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine_in_memory import LabOnFakeServer

    Ask = Callable[..., Any]

LAB = "version: 1\ndomain: lab.localhost\nstacks: {wiki: [dokuwiki], books: [mediawiki]}\n"
FILES = ("/opt/stacks/wiki/compose.yaml", "/opt/stacks/books/compose.yaml")


@pytest.fixture
def ask(there: LabOnFakeServer, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Run a command on a lab that was applied once, and return its document."""

    async def verify(_lab: Homelab, *_: object) -> Proof:
        return Proof(tuple(passed(app, "answer over HTTPS", "200 at /") for app in ("dokuwiki", "mediawiki")))

    monkeypatch.setattr(Homelab, "verify", verify)
    made = partial(Homelab, make_host=lambda _name: there.host, journal_path=there.journal_path)
    monkeypatch.setattr("ez_homelab.lab.Homelab", made)
    there.write(LAB)

    def run(*words: str) -> Any:
        ended = CliRunner().invoke(cli, [*words, "--lab", str(there.folder), "--json"])
        assert not ended.exception or isinstance(ended.exception, SystemExit), ended.exception
        return json.loads(ended.stdout)

    assert "error" not in run("apply", "--yes")
    return run


def without(documented: dict[str, str], *begin: str) -> set[str]:
    return {key for key in documented if not key.startswith(begin)}


def nothing_left_out(of: dict[str, str]) -> set[str]:
    """The keys of a document that tells of an apply on which nothing was held, kept or not to be reached."""
    return without(of, "applied.held[]", "applied.kept[]", "applied.unknown[]")


def test_history_and_one_of_it(ask: Ask) -> None:
    documented = DOCUMENTS["history"]
    listed, one = matched(documented, ask("history")), matched(documented, ask("history", "1"))
    # Which digest a reference stood for is known from elsewhere: the references themselves hold it.
    assert listed | one == without(documented, "servers.*.images.*")
    assert listed == {key for key in documented if key.startswith("generations")}


def test_rollback(ask: Ask, there: LabOnFakeServer) -> None:
    there.write(LAB.replace("[dokuwiki]", "[{dokuwiki: {limits: {memory: 600M}}}]"))
    ask("apply", "--yes")
    documented = DOCUMENTS["rollback"]
    printed = ask("rollback", "1", "--yes")
    assert matched(documented, printed) == nothing_left_out(documented) - {"applied.actions[].settings.*"}
    assert printed["applied"]["actions"]


def test_drift_and_what_becomes_of_it(ask: Ask, there: LabOnFakeServer) -> None:
    for path in FILES:
        there.host.files[path] = MemoryFile(there.host.files[path].content + b"# a remark\n")
    assert matched(DOCUMENTS["drift"], ask("drift", "--diff")) == set(DOCUMENTS["drift"])
    for choice, words in (("keep", ()), ("overwrite", ()), ("adopt", ("--yes",))):
        documented = DOCUMENTS[f"drift {choice}"]
        assert matched(documented, ask("drift", choice, FILES[0], *words)) == set(documented)


def test_secrets(ask: Ask) -> None:
    for words in (("list",), ("show", "mediawiki", "admin_password", "--yes"), ("rotate", "mediawiki", "--yes")):
        documented = DOCUMENTS[f"secrets {words[0]}"]
        assert matched(documented, ask("secrets", *words)) == nothing_left_out(documented)


def test_images(ask: Ask, there: LabOnFakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    used = ImageRow("a/b:1", "sha256:1", "sha256:2", 7, True, ("b",), (3, 4), None, False)
    stale = Prunable((StaleImage("a/b:0", "sha256:3", ("a/b:0",), (), 7),), (Manifest("a/b", "sha256:4"),))
    answers = {
        "images": (used,), "prunable_images": stale, "prune_images": stale.lines(),
        "build_images": ("a/b:1",), "copy_images": ("registry.lan/a/b:1",),
    }  # fmt: skip
    for name, answer in answers.items():
        monkeypatch.setattr(Homelab, name, answering(answer))
    (there.folder / FILE).unlink()
    for words in (("list",), ("lock",), ("prune", "--yes"), ("build",), ("copy", "registry.lan")):
        documented = DOCUMENTS[f"images {words[0]}"]
        assert matched(documented, ask("images", *words)) == set(documented)


def answering(answer: object) -> Callable[..., Any]:
    async def answers(*_: object) -> object:
        return answer

    return answers


def test_the_errors_of_a_way_back(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    pending, failure = Pending("wiki", 3), HealthError("not healthy", evidence="a", cause="b", fix="c")
    now_runs = {"wiki-database": "mariadb:10.11"}
    errors = {
        WentBackError(pending, failure, now_runs): ERROR | WENT_BACK,
        GoBackFailedError(pending, failure, CommandError("no"), now_runs): ERROR | WENT_BACK | GO_BACK_FAILED,
    }

    for error, documented in errors.items():

        async def fails(_lab: Homelab, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(Homelab, "recover", fails)
        assert matched(documented, ask("apply", "--yes")) == set(documented)
