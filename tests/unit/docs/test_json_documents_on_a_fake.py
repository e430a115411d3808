"""The reference of `--json` against what the commands really print. The server is a fake one; the commands are not."""

from __future__ import annotations

import json
import runpy
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from printed_keys import matched

from ez_homelab.cli.app import cli
from ez_homelab.config.files import init_lab
from ez_homelab.errors import CommandError
from ez_homelab.hosts import local
from ez_homelab.lab import Homelab
from ez_homelab.observe.look import APPLIED_RECORD, AUTHORITY_CERTIFICATE
from ez_homelab.reference import CHECKOUT
from ez_homelab.reference.commands import command_tree, options_of
from ez_homelab.reference.json_documents import DOCUMENTS, ERROR, FAILED_ACTIONS, FAULTS
from ez_homelab.testing import fleet
from ez_homelab.testing.fake_host import FakeHost
from ez_homelab.tls.authority import create_authority
from ez_homelab.tls.trust import SYSTEM_BUNDLE
from ez_homelab.verify.proof import Check, Proof

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DOMAIN = "lab.localhost"
FLEET = fleet.FleetSummary(
    "lab", "/f", "10.0.0.0/24", None, (fleet.ServerSummary("core", "10.0.0.1", "core.x", True, {8443: 443}),)
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    """This machine as every command sees it: an engine without anything in it, and an authority."""
    authority = create_authority(DOMAIN, datetime.now(UTC))
    pem = authority.certificate_pem
    host = FakeHost("core", files={AUTHORITY_CERTIFICATE: pem, SYSTEM_BUNDLE: pem})
    programs = ("docker", "ip", "rm", "/usr/sbin/update-ca-certificates")
    host.answer(lambda command: command.argv[0] in programs)
    monkeypatch.setattr(local, "LocalHost", lambda _name: host)
    return host


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    init_lab(tmp_path, DOMAIN, "packages")
    return tmp_path


@pytest.fixture
def ask(lab: Path, server: FakeHost, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run a command on the lab and return its document."""
    monkeypatch.setenv("EZ_LAB", str(lab))

    def run(*arguments: str) -> Any:
        ended = CliRunner().invoke(cli, [*arguments, "--json"])
        assert not ended.exception or isinstance(ended.exception, SystemExit), ended.exception
        return json.loads(ended.stdout)

    return run


def test_every_command_with_json_is_documented() -> None:
    with_json = {" ".join(words) for words, command in command_tree()
                 if any(option.name == "as_json" for option in options_of(command))}  # fmt: skip
    assert with_json == set(DOCUMENTS)


@pytest.mark.parametrize("command", ["plan", "check", "catalog"])
def test_document(command: str, ask: Callable[..., Any]) -> None:
    printed = ask(command)
    # Nothing is held, unknown or worth a warning in this lab: those lists are empty.
    empty = {key for key in DOCUMENTS[command] if key.startswith(("held[]", "kept[]", "unknown[]"))}
    assert matched(DOCUMENTS[command], printed) == set(DOCUMENTS[command]) - empty


def test_documents_of_the_catalog(ask: Callable[..., Any], lab: Path) -> None:
    apps = CHECKOUT / "tests" / "unit" / "catalog"
    for name in ("good-app", "sound-app"):
        shutil.copytree(apps / name, lab / "catalog" / name)
    documented = DOCUMENTS["catalog show"]
    # One has everything but permissions; the other is where those are.
    shown = [matched(documented, ask("catalog", "show", name)) for name in ("good-app", "node-exporter")]
    assert set.union(*shown) == set(documented)
    for words in (("catalog", "list"), ("catalog", "search", "wiki"), ("catalog", "lint", "sound-app")):
        documented = DOCUMENTS[" ".join(words[:2])]
        assert matched(documented, ask(*words)) == set(documented)


@pytest.mark.parametrize("arguments", [("doctor",), ("logs", "dokuwiki"), ("trust",)])
def test_document_without_exceptions(arguments: tuple[str, ...], ask: Callable[..., Any]) -> None:
    assert matched(DOCUMENTS[arguments[0]], ask(*arguments)) == set(DOCUMENTS[arguments[0]])


def test_status_where_nobody_tells_how_often_apps_woke(ask: Callable[..., Any]) -> None:
    known = {key for key in DOCUMENTS["status"] if not key.startswith("apps[].on_demand.wakes.")}
    assert matched(DOCUMENTS["status"], ask("status")) == known


def test_verify(ask: Callable[..., Any], server: FakeHost) -> None:
    # Without an authority nothing is dialled: this machine's own ports are not asked.
    del server.files[AUTHORITY_CERTIFICATE]
    assert matched(DOCUMENTS["verify"], ask("verify")) == set(DOCUMENTS["verify"])


def test_plan_of_a_server_that_cannot_be_reached(ask: Callable[..., Any], server: FakeHost) -> None:
    server.unreachable = "no route to it"
    assert {"unknown[].server", "unknown[].reason"} <= matched(DOCUMENTS["plan"], ask("plan"))


def test_plan_of_a_service_that_a_person_stopped(ask: Callable[..., Any], server: FakeHost) -> None:
    stopped = {
        "Id": "1", "Name": "/glances", "Image": "i", "RestartCount": 0, "HostConfig": {},
        "NetworkSettings": {"Networks": {}},
        "Config": {"Image": "i", "Labels": {"ez-homelab.fingerprint": "f"}},
        "State": {"Status": "exited", "ExitCode": 0, "OOMKilled": False, "StartedAt": ""},
    }  # fmt: skip
    server.answer(lambda command: command.argv[:3] == ("docker", "container", "ls"), stdout="1\n")
    server.answer(lambda command: command.argv[:3] == ("docker", "container", "inspect"), stdout=json.dumps([stopped]))
    assert {"held[].server", "held[].name", "held[].reason"} <= matched(DOCUMENTS["plan"], ask("plan"))


@pytest.mark.parametrize(
    "arguments",
    [("apply", "--yes"), ("add", "dokuwiki", "--name", "notes", "--yes"), ("remove", "glances", "--yes")],
    ids=lambda words: words[0],
)
def test_document_of_a_change(
    arguments: tuple[str, ...], ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def done(*_: object, **__: object) -> Proof:
        return Proof((Check("dokuwiki", "answer over HTTPS", "passed", "200 at /"),))

    # The document tells plan and proof; what carries out and proves is tested where it is.
    monkeypatch.setattr(Homelab, "apply", done)
    monkeypatch.setattr(Homelab, "verify_applied", done)
    documented = DOCUMENTS[arguments[0]]
    empty = {key for key in documented if key.startswith(("applied.held[]", "applied.kept[]", "applied.unknown[]"))}
    assert matched(documented, ask(*arguments)) == set(documented) - empty


def test_down_and_purge(ask: Callable[..., Any]) -> None:
    found = matched(DOCUMENTS["down"], ask("down")) | matched(DOCUMENTS["down"], ask("down", "--purge", "--yes"))
    assert found == set(DOCUMENTS["down"])


def test_init(ask: Callable[..., Any], tmp_path: Path) -> None:
    assert matched(DOCUMENTS["init"], ask("init", "--lab", str(tmp_path / "new"))) == set(DOCUMENTS["init"])


def test_fleet(ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "missing_packages", lambda: ())
    monkeypatch.setattr(fleet, "fleet_up", lambda *_, **__: FLEET)
    monkeypatch.setattr(fleet, "fleet_list", lambda: [FLEET])
    monkeypatch.setattr(fleet, "fleet_down", lambda _name: None)
    for command in ("up", "list", "down"):
        documented = DOCUMENTS[f"fleet {command}"]
        assert matched(documented, ask("fleet", command)) == set(documented)


def test_bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    namespace = runpy.run_path(str(CHECKOUT / "bench" / "bench.py"))
    main, figure = namespace["main"], namespace["Figure"]("a", "s", 2.0, 1.0)
    for measure in ("start_up", "render_and_plan", "unchanged_apply"):
        monkeypatch.setitem(main.__globals__, measure, lambda *_: [figure])
    monkeypatch.setattr("sys.argv", ["bench.py", "--json"])
    main()
    assert matched(DOCUMENTS["bench"], json.loads(capsys.readouterr().out)) == set(DOCUMENTS["bench"])


def test_error(ask: Callable[..., Any], lab: Path) -> None:
    assert matched(ERROR, ask("logs", "nonsense")) == set(ERROR)
    (lab / "homelab.yaml").write_text("version: 2\n")
    assert matched(ERROR | FAULTS, ask("plan")) == {*ERROR, *FAULTS}


def test_error_of_an_apply(ask: Callable[..., Any], server: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    from ez_homelab.apply.executor import Outcome
    from ez_homelab.apply.failures import ApplyFailedError
    from ez_homelab.plan import Action

    async def fails(*_: object, **__: object) -> None:
        raise ApplyFailedError(
            (Outcome(Action("core", "file", "/a", "write", "missing"), "failed", CommandError("no")),)
        )

    monkeypatch.setattr(Homelab, "apply", fails)
    printed = ask("apply", "--yes")
    errors = printed["error"].pop("errors")
    assert set(errors[0]) == {key.removeprefix("error.") for key in ERROR if key != "error"}
    assert matched(ERROR, printed) == set(ERROR)
    assert set(FAILED_ACTIONS) == {"error.errors", "error.done"}
    assert APPLIED_RECORD not in server.files
