"""The one door: which lab, what it reads, what it refuses, and edits of the lab file."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from engine_in_memory import ONE_APP, EngineInMemory, LabOnFakeServer

from ez_homelab.errors import CatalogError, CommandError, LabFileError, PrerequisiteError, UsageError
from ez_homelab.lab import DEFAULT_FOLDER, Homelab, find_lab_folder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


# --- which lab -------------------------------------------------------------------------------------------------


def test_the_folder_that_is_named_goes_before_all_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab, below = tmp_path / "lab", tmp_path / "lab" / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert find_lab_folder(environment={}) == DEFAULT_FOLDER
    (lab / "homelab.yaml").write_text(ONE_APP)
    assert find_lab_folder(environment={}) == lab
    assert find_lab_folder(environment={"EZ_LAB": "/srv/lab"}) == Path("/srv/lab")
    assert find_lab_folder(Path("other"), {"EZ_LAB": "/srv/lab"}) == below / "other"


async def test_a_folder_without_a_lab_says_how_to_make_one(tmp_path: Path) -> None:
    lab = Homelab(tmp_path / "none", lambda _name: EngineInMemory())
    assert not lab.exists
    calls: list[Callable[[], Awaitable[object]]] = [lab.plan, lab.status, lab.down, lab.purge, lab.verify, lab.doctor]
    for call in calls:
        with pytest.raises(UsageError) as error:
            await call()
        assert error.value.fix == f"ez-homelab init --lab {tmp_path / 'none'}"


async def test_mistakes_in_the_lab_file_are_told_before_anything_is_asked_of_a_server(there: LabOnFakeServer) -> None:
    there.write("version: 1\ndomain: lab.localhost\nstacks: {wiki: [dokuwikki]}\ncolour: red\n")
    for call in (there.lab.plan, there.lab.down, there.lab.purge, there.lab.status):
        with pytest.raises(LabFileError) as error:
            await call()
        assert len(error.value.faults) == 2
    assert there.host.operations == []


async def test_an_override_of_a_service_that_the_app_does_not_have_is_a_mistake(there: LabOnFakeServer) -> None:
    (there.folder / "overrides").mkdir()
    (there.folder / "overrides" / "dokuwiki.yaml").write_text("services: {dokuwikki: {init: true}}\n")
    with pytest.raises(LabFileError) as error:
        await there.lab.plan()
    assert "dokuwikki" in error.value.faults[0].message


def test_an_app_without_a_package_edition_is_refused_where_all_come_from_packages(there: LabOnFakeServer) -> None:
    app = there.folder / "catalog" / "plain"
    app.mkdir(parents=True)
    shipped = Path(str(there.lab.catalog.app("glances").folder))
    for name in ("compose.yaml", "tests.yaml"):
        (app / name).write_text((shipped / name).read_text())
    manifest = (shipped / "service.yaml").read_text().replace("id: glances", "id: plain")
    kept = [
        line
        for line in manifest.splitlines()
        if not line.startswith(("edition:", "  architectures: [amd64, arm64]", "  notes: The"))
    ]
    (app / "service.yaml").write_text("\n".join(kept))
    there.write("version: 1\ndomain: lab.localhost\nimages: {source: packages}\nstacks: {s: [plain]}\n")
    with pytest.raises((UsageError, CatalogError)) as error:
        _ = there.lab.desired
    assert "the app plain has no package edition" in str(error.value)
    there.write("version: 1\ndomain: lab.localhost\nstacks: {s: [plain]}\n")
    assert there.lab.editions == {}
    assert [route.name for route in there.lab.desired.routes] == ["gate", "plain"]


# --- another lab's server --------------------------------------------------------------------------------------


async def test_the_server_of_another_lab_is_left_alone_by_everything_that_changes(
    there: LabOnFakeServer, tmp_path: Path
) -> None:
    await there.apply()
    other = Homelab(tmp_path / "other", lambda _name: there.host, there.journal_path)
    other.create("lab.localhost", "registry")
    orders = there.host.orders()
    for call in (other.plan, other.down, other.purgeable, other.purge):
        with pytest.raises(PrerequisiteError) as error:
            await call()
        assert "carries another lab" in error.value.what
        assert str(there.folder) in error.value.fix
    assert there.host.orders() == orders


# --- edits -----------------------------------------------------------------------------------------------------


async def test_an_app_is_added_and_its_plan_known_before_anything_is_written(there: LabOnFakeServer) -> None:
    there.write("# mine\n" + ONE_APP)
    await there.apply()
    edit, after = there.lab.adding("glances", stack="watch")
    assert (there.folder / "homelab.yaml").read_text() == "# mine\n" + ONE_APP
    plan = await after.plan()
    assert "service watch/glances" in " ".join(f"{action.kind} {action.name}" for action in plan.actions)
    assert "+" in edit.diff()
    edit.write()
    await after.apply(plan)
    assert (there.folder / "homelab.yaml").read_text().startswith("# mine\n")
    assert "glances" in there.host.containers
    edit, after = there.lab.removing("glances")
    edit.write()
    assert (there.folder / "homelab.yaml").read_text() == "# mine\n" + ONE_APP


def test_the_stack_of_an_added_app_is_that_of_its_category(there: LabOnFakeServer) -> None:
    there.write("version: 1\ndomain: lab.localhost\nstacks: {}\n")
    _, after = there.lab.adding("glances")
    assert [(stack.name, [app.name for app in stack.apps]) for stack in after.lab.stacks] == [
        ("monitoring", ["glances"])
    ]
    _, after = there.lab.adding("dokuwiki", name="notes", stack="x")
    assert [(app.name, app.app) for app in after.lab.instances] == [("notes", "dokuwiki")]


def test_what_cannot_be_added_or_removed(there: LabOnFakeServer) -> None:
    with pytest.raises(CatalogError, match="no app called 'dokuwikki'") as error:
        there.lab.adding("dokuwikki")
    assert "dokuwiki" in error.value.fix
    with pytest.raises(UsageError, match="there already"):
        there.lab.adding("dokuwiki")
    with pytest.raises(UsageError, match="no app `nothing`"):
        there.lab.removing("nothing")


def test_a_file_that_changed_meanwhile_is_not_written_over(there: LabOnFakeServer) -> None:
    there.write(ONE_APP)
    edit, _ = there.lab.adding("glances")
    there.write(ONE_APP + "# a word of somebody's\n")
    with pytest.raises(UsageError, match="changed in the meantime"):
        edit.write()
    assert (there.folder / "homelab.yaml").read_text().endswith("somebody's\n")


def test_line_ends_of_another_system_and_the_files_rights_stay(there: LabOnFakeServer) -> None:
    path = there.folder / "homelab.yaml"
    before = "version: 1\r\ndomain: lab.localhost\r\nstacks:\r\n  wiki:\r\n    - dokuwiki # größer\r\n"
    path.write_bytes(before.encode())
    path.chmod(0o640)
    edit, _ = there.lab.adding("glances", stack="wiki")
    edit.write()
    after = path.read_bytes().decode()
    assert after.startswith(before)
    assert after.replace("\r\n", "").count("\n") == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    there.lab.removing("glances")[0].write()
    assert path.read_bytes().decode() == before


def test_the_machines_own_encoding_does_not_matter(there: LabOnFakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    there.write("# größer\n" + ONE_APP)
    monkeypatch.setattr("locale.getencoding", lambda: "ascii", raising=False)
    there.lab.adding("glances", stack="wiki")[0].write()
    assert (there.folder / "homelab.yaml").read_bytes().startswith("# größer\n".encode())


# --- a new lab -------------------------------------------------------------------------------------------------


def test_a_new_lab_is_never_written_over_an_old_one(there: LabOnFakeServer, tmp_path: Path) -> None:
    before = (there.folder / "homelab.yaml").read_text()
    with pytest.raises(UsageError, match="there is a lab in"):
        there.lab.create("other.localhost", "packages")
    assert (there.folder / "homelab.yaml").read_text() == before
    made = Homelab(tmp_path / "a" / "b")
    written = made.create("home.localhost", "packages")
    assert {path.name for path in written} == {".gitignore", "users.yaml", "homelab.yaml"}
    assert Homelab(tmp_path / "a" / "b").lab.domain == "home.localhost"


def test_a_file_of_a_persons_own_stays(tmp_path: Path) -> None:
    for name in (".gitignore", "users.yaml"):
        (tmp_path / name).write_text("mine\n")
    assert [path.name for path in Homelab(tmp_path).create("lab.localhost", "registry")] == ["homelab.yaml"]
    assert {(tmp_path / name).read_text() for name in (".gitignore", "users.yaml")} == {"mine\n"}


def test_a_folder_that_cannot_be_made_is_told_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError) as error:
        Homelab(tmp_path / "file" / "lab").create("lab.localhost", "registry")
    assert error.value.cause == "a file is where a folder should be"


def test_the_lab_that_would_be_is_the_one_that_is_written(tmp_path: Path) -> None:
    lab = Homelab(tmp_path)
    wanted = lab.prospective("home.localhost", "registry")
    lab.create("home.localhost", "registry")
    assert wanted.lab == Homelab(tmp_path).lab
    assert not list(tmp_path.glob("*.tmp"))


# --- small things ----------------------------------------------------------------------------------------------


async def test_the_log_of_an_app_by_its_name(there: LabOnFakeServer) -> None:
    lines: list[str] = []
    await there.lab.logs("dokuwiki", lines.append, tail=3)
    assert lines == ["dokuwiki says something"]
    with pytest.raises(UsageError) as error:
        await there.lab.logs("dokuwikki", lines.append)
    assert error.value.fix == "did you mean dokuwiki?"
    with pytest.raises(UsageError) as error:
        await there.lab.logs("xyzzy", lines.append)
    assert error.value.fix == "the lab has: dokuwiki, prometheus, node-exporter, glances"


async def test_before_the_first_apply_there_is_no_authority_to_trust(there: LabOnFakeServer) -> None:
    with pytest.raises(UsageError) as error:
        await there.lab.authority_pem()
    assert error.value.fix == "ez-homelab apply"


async def test_the_state_of_every_app(there: LabOnFakeServer) -> None:
    assert {app.state for app in await there.lab.status()} == {"missing"}
    await there.apply()
    assert {app.state for app in await there.lab.status()} == {"running", "asleep"}


def test_who_runs_it_is_the_person_and_not_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("USER", "root")
    monkeypatch.setenv("SUDO_USER", "ann")
    assert Homelab(tmp_path).who == "ann"
    monkeypatch.delenv("SUDO_USER")
    assert Homelab(tmp_path).who == "root"
    monkeypatch.delenv("USER")
    assert Homelab(tmp_path).who == f"uid {os.getuid()}"
