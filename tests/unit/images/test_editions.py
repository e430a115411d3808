"""An edition's tag changes with what the image is made of and with nothing else."""

from __future__ import annotations

import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from ez_homelab.catalog.loader import Catalog
from ez_homelab.errors import CatalogError
from ez_homelab.images import editions
from ez_homelab.images.editions import BASE_TAG, context_tar, load_edition, load_editions

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"Dockerfile": b"ARG BASE\nFROM ${BASE}\nCOPY etc/app.conf /etc/\n", "etc/app.conf": b"port = 80\n"}


def make_folder(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def tag(folder: Path) -> str:
    return load_edition("app", "1.2", folder).tag


def test_tag_is_stable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editions, "RECIPE_HASH", "0" * 64)
    assert tag(make_folder(tmp_path)) == "ez-homelab/app:1.2-caa062573ade"


def test_tag_is_the_same_wherever_and_whenever_the_files_were_written(tmp_path: Path) -> None:
    here, there = make_folder(tmp_path / "a"), make_folder(tmp_path / "b", dict(reversed(FILES.items())))
    os.utime(there / "Dockerfile", (1, 1))
    (there / "Dockerfile").chmod(0o600)
    assert tag(here) == tag(there)


@pytest.mark.parametrize(
    "changed",
    [
        {**FILES, "etc/app.conf": b"port = 81\n"},
        {**FILES, "new": b""},
        {"Dockerfile": FILES["Dockerfile"], "etc/app2.conf": FILES["etc/app.conf"]},
        {"Dockerfile": FILES["Dockerfile"][:-1], "etc/app.conf": b"\n" + FILES["etc/app.conf"]},
    ],
    ids=["content", "file", "name", "bytes moved to the next file"],
)
def test_tag_follows_every_change(tmp_path: Path, changed: dict[str, bytes]) -> None:
    assert tag(make_folder(tmp_path / "a")) != tag(make_folder(tmp_path / "b", changed))


def test_tag_follows_the_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tag(make_folder(tmp_path))
    monkeypatch.setattr(editions, "RECIPE_HASH", "0" * 64)
    assert tag(tmp_path) != before
    assert BASE_TAG.startswith("ez-homelab/base:")


def test_context_is_the_same_bytes_and_says_nothing_about_who_made_it(tmp_path: Path) -> None:
    first = context_tar(load_edition("app", "1.2", make_folder(tmp_path / "a")))
    second = context_tar(load_edition("app", "1.2", make_folder(tmp_path / "b", dict(reversed(FILES.items())))))
    assert first == second
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        entries = archive.getmembers()
        assert {entry.name: archive.extractfile(entry).read() for entry in entries} == FILES  # type: ignore[union-attr]
    assert [entry.name for entry in entries] == sorted(FILES)
    assert {(entry.mtime, entry.uid, entry.gid, entry.mode, entry.uname) for entry in entries} == {(0, 0, 0, 0o644, "")}


@pytest.mark.parametrize(("app_id", "version"), [("App", "1"), ("../x", "1"), ("app", ""), ("app", "1 2"), ("a", "-1")])
def test_what_cannot_stand_in_an_image_name_is_refused(tmp_path: Path, app_id: str, version: str) -> None:
    with pytest.raises(CatalogError, match="package edition"):
        load_edition(app_id, version, make_folder(tmp_path))


def test_a_link_is_refused(tmp_path: Path) -> None:
    (make_folder(tmp_path) / "secret").symlink_to("/etc/shadow")
    with pytest.raises(CatalogError) as caught:
        tag(tmp_path)
    assert caught.value.faults[0].file == str(tmp_path / "secret")


def test_a_folder_without_dockerfile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError) as caught:
        tag(tmp_path)
    assert "no Dockerfile" in caught.value.evidence


def make_program(folder: Path) -> Path:
    program = folder / "runtime" / "gate"
    for name, text in {"__main__.py": "print()", "portal/page.html": "<p>", "__pycache__/x.pyc": "compiled"}.items():
        (program / name).parent.mkdir(parents=True, exist_ok=True)
        (program / name).write_text(text)
    return program


def test_a_program_of_ours_is_in_the_context_without_what_python_compiled(tmp_path: Path) -> None:
    edition = load_edition("app", "1.2", make_folder(tmp_path / "image"), make_program(tmp_path))
    assert {*edition.files} - {*FILES} == {"runtime/gate/__main__.py", "runtime/gate/portal/page.html"}


def test_a_changed_program_is_another_tag(tmp_path: Path) -> None:
    folder, program = make_folder(tmp_path / "image"), make_program(tmp_path)
    before = load_edition("app", "1.2", folder, program).tag
    (program / "__pycache__" / "y.pyc").write_text("compiled anew")
    assert load_edition("app", "1.2", folder, program).tag == before
    (program / "portal" / "page.html").write_text("<h1>")
    assert load_edition("app", "1.2", folder, program).tag != before


def test_a_service_that_runs_the_main_ones_image_has_its_edition() -> None:
    editions = load_editions(Catalog.shipped().app("waker"))
    assert {*editions} == {"waker", "control"}
    assert editions["control"] is editions["waker"]
    assert "runtime/waker/__main__.py" in editions["waker"].files
    apart = load_editions(Catalog.shipped().app("mediawiki"))
    assert len({edition.tag for edition in apart.values()}) == len(apart) > 1


def test_a_link_in_a_program_is_refused(tmp_path: Path) -> None:
    program = make_program(tmp_path)
    (program / "portal" / "shadow").symlink_to("/etc/shadow")
    with pytest.raises(CatalogError):
        load_edition("app", "1.2", make_folder(tmp_path / "image"), program)
