"""Texts that were taken from a server into the lab: what is taken, and what may not lie there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ez_homelab.config.adopted_files import (
    MAX_BYTES,
    MAX_FILES,
    NotAdoptedError,
    adopt_file,
    load_adopted_files,
    require_used,
)
from ez_homelab.errors import LabFileError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

PATH = "config/notes/local.php"


def put(folder: Path, path: str, content: bytes = b"text\n") -> Path:
    file = folder / "overrides" / "files" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def faults(folder: Path) -> list[str]:
    with pytest.raises(LabFileError) as raised:
        load_adopted_files(folder)
    return [f"{fault.file}: {fault.message}" for fault in raised.value.faults]


def test_what_is_adopted_is_loaded(tmp_path: Path) -> None:
    edit = adopt_file(tmp_path, "wiki", PATH, "grün\r\n".encode())
    assert load_adopted_files(tmp_path) == {}
    edit.write()
    assert load_adopted_files(tmp_path) == {("wiki", PATH): "grün\r\n".encode()}


def test_a_second_edit_is_shown_against_the_first(tmp_path: Path) -> None:
    adopt_file(tmp_path, "wiki", PATH, b"one\ntwo\n").write()
    edit = adopt_file(tmp_path, "wiki", PATH, b"one\n2\n")
    assert edit.diff().splitlines()[-2:] == ["-two", "+2"]
    edit.write()
    assert load_adopted_files(tmp_path) == {("wiki", PATH): b"one\n2\n"}


def test_a_text_that_came_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    edit = adopt_file(tmp_path, "wiki", PATH, b"mine\n")
    file = put(tmp_path, f"wiki/{PATH}", b"another's\n")
    with pytest.raises(UsageError, match="changed in the meantime"):
        edit.write()
    assert file.read_bytes() == b"another's\n"


def test_folders_that_are_made_belong_to_whom_the_lab_belongs(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(tmp_path, 1234, 1234)
    adopt_file(tmp_path, "wiki", PATH, b"mine\n").write()
    made = [path.stat().st_uid for path in (tmp_path / "overrides").rglob("*")]
    assert len(made) == 5
    assert {tmp_path.stat().st_uid} == set(made)


REFUSED = [
    ("wiki", ".env", "holds secrets"),
    ("wiki", "secrets/notes/password", "holds secrets"),
    ("wiki", "config/notes/.env", "holds secrets"),
    ("wiki", ".ez-homelab", "own mark"),
    ("wiki", "config/.ez-homelab-x.tmp", "own mark"),
    ("wiki", "compose.yaml", "becomes an override"),
    ("core", "config/traefik/dynamic/certificate.yml", "written by this tool"),
    ("core", "config/traefik/traefik.yml", "written by this tool"),
    ("wiki", "../core/compose.yaml", "no plain path"),
    ("wiki", "config//notes", "no plain path"),
    ("wiki", "/etc/passwd", "no plain path"),
    ("wiki", "config/a\nb", "no plain path"),
    ("wiki", "", "no plain path"),
    ("..", "config/a", "no name"),
    ("Wiki Two", "config/a", "no name"),
]


@pytest.mark.parametrize(("stack", "path", "reason"), REFUSED)
def test_what_may_not_be_adopted(tmp_path: Path, stack: str, path: str, reason: str) -> None:
    with pytest.raises(NotAdoptedError) as raised:
        adopt_file(tmp_path, stack, path, b"text")
    assert reason in raised.value.evidence
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("content", "reason"), [(b"\xff\xfe", "no text"), (b"x" * (MAX_BYTES + 1), "larger than")])
def test_what_is_no_text_is_neither_adopted_nor_loaded(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(NotAdoptedError) as raised:
        adopt_file(tmp_path, "wiki", PATH, content)
    assert reason in raised.value.evidence
    put(tmp_path, f"wiki/{PATH}", content)
    assert [reason in fault for fault in faults(tmp_path)] == [True]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (f"{stack}/{path}", reason)
        for stack, path, reason in REFUSED
        if path and path[0] != "/" and ".." not in path + stack and "//" not in path
    ],
)
def test_what_may_not_lie_there(tmp_path: Path, path: str, reason: str) -> None:
    put(tmp_path, path)
    put(tmp_path, "wiki/config/fine")
    assert [reason in fault for fault in faults(tmp_path)] == [True]


def test_links_and_pipes_are_not_followed(tmp_path: Path) -> None:
    folder = put(tmp_path, "wiki/config/fine").parent
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "key").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "outside" / "key")
    (folder / "folder").symlink_to(tmp_path / "outside")
    os.mkfifo(folder / "pipe")
    place = "overrides/files/wiki/config"
    assert faults(tmp_path) == [
        f"{place}/folder: it is a link",
        f"{place}/link: it is a link",
        f"{place}/pipe: it is no file",
    ]


def test_a_whole_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    put(tmp_path, "wiki/config/fine")
    (tmp_path / "overrides" / "files" / "tools").symlink_to(tmp_path / "elsewhere")
    assert faults(tmp_path) == ["overrides/files/tools: it lies in no stack's folder"]


def test_the_folder_does_not_lead_out_of_the_lab(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    put(tmp_path / "elsewhere", "wiki/config/fine")
    lab.mkdir()
    (lab / "overrides").symlink_to(tmp_path / "elsewhere" / "overrides")
    assert faults(lab) == ["overrides/files: it leads out of the lab folder"]


def test_a_lab_has_so_many_at_most(tmp_path: Path) -> None:
    for number in range(MAX_FILES + 1):
        put(tmp_path, f"wiki/config/{number}")
    assert faults(tmp_path) == [f"overrides/files: a lab has at most {MAX_FILES} adopted files"]


def test_a_text_without_effect_is_told() -> None:
    adopted = {("wiki", PATH): b"", ("old", "config/a"): b""}
    require_used({}, [("wiki", PATH)])
    require_used(adopted, [("wiki", PATH), ("old", "config/a"), ("wiki", "compose.yaml")])
    with pytest.raises(LabFileError) as raised:
        require_used(adopted, [("wiki", PATH)])
    assert [fault.file for fault in raised.value.faults] == ["overrides/files/old/config/a"]
