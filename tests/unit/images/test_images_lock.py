"""The lock file: what it says, how it is kept, and every way in which it can be damaged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ez_homelab.errors import CommandError, LabFileError
from ez_homelab.images.lock import FILE, ImageLock, LockChange, LockedImage, parse_lock

if TYPE_CHECKING:
    from pathlib import Path

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
WIKI = LockedImage(A, "docker.io/dokuwiki/dokuwiki", "registry", "2026-11-22")
EDITION = LockedImage(B, "127.0.0.1:20444/ez-homelab/x", "packages", "2026-11-21")
LOCK = (
    ImageLock()
    .with_image("dokuwiki/dokuwiki:1", WIKI)
    .with_image("ez-homelab/x:1-0", EDITION)
    .with_source("wiki", "registry")
    .with_source("x", "packages")
)


def test_saved_sorted_and_read_again(tmp_path: Path) -> None:
    LOCK.save(tmp_path)
    text = (tmp_path / FILE).read_text()
    assert ImageLock.load(tmp_path) == LOCK
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
    backwards = (
        ImageLock(dict(reversed(LOCK.images.items()))).with_source("x", "packages").with_source("wiki", "registry")
    )
    assert backwards.text() == text
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_what_says_the_same_is_not_written(tmp_path: Path) -> None:
    LOCK.save(tmp_path)
    before = (tmp_path / FILE).stat()
    LOCK.save(tmp_path)
    assert (tmp_path / FILE).stat().st_ino == before.st_ino
    ImageLock().save(tmp_path)
    assert (tmp_path / FILE).stat().st_ino != before.st_ino


def test_a_run_killed_while_it_saves_leaves_nothing_that_the_next_one_does_not_take_away(tmp_path: Path) -> None:
    LOCK.save(tmp_path)
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from ez_homelab.images.lock import ImageLock\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "ImageLock().save(Path(sys.argv[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False).returncode == -signal.SIGKILL
    assert ImageLock.load(tmp_path) == LOCK
    ImageLock().save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_failed_save_leaves_the_old_one_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    LOCK.save(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CommandError) as raised:
        ImageLock().save(tmp_path)
    assert raised.value.cause == "the disk is full"
    assert ImageLock.load(tmp_path) == LOCK
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_without_a_file_nothing_is_locked(tmp_path: Path) -> None:
    lock = ImageLock.load(tmp_path)
    assert lock == ImageLock()
    assert lock.pinned("dokuwiki/dokuwiki:1") == "dokuwiki/dokuwiki:1"


def test_pinned_in_every_form_of_the_name() -> None:
    wanted = f"docker.io/dokuwiki/dokuwiki:1@{A}"
    for reference in ("dokuwiki/dokuwiki:1", "docker.io/dokuwiki/dokuwiki:1", wanted):
        assert LOCK.pinned(reference) == wanted
    for reference in ("ez-homelab/x:1-0", "127.0.0.1:20444/ez-homelab/x:1-0"):
        assert LOCK.pinned(reference) == f"127.0.0.1:20444/ez-homelab/x:1-0@{B}"
    assert LOCK.pinned("dokuwiki/dokuwiki:2") == "dokuwiki/dokuwiki:2"


def test_a_lock_is_a_value() -> None:
    assert LOCK.with_image("dokuwiki/dokuwiki:1", WIKI) is LOCK
    later = LockedImage(WIKI.digest, WIKI.repository, WIKI.source, "2027-01-01")
    assert LOCK.with_image("dokuwiki/dokuwiki:1", later) is LOCK
    assert LOCK.with_source("wiki", "registry") is LOCK
    assert LOCK.without_source("nobody") is LOCK
    assert LOCK.without_source("wiki").sources == {"x": "packages"}
    assert LOCK.only(LOCK.images) is LOCK
    assert [*LOCK.only({"ez-homelab/x:1-0"}).images] == ["ez-homelab/x:1-0"]


def test_changes_are_those_of_digests() -> None:
    moved = LockedImage(B, WIKI.repository, "registry", "2026-12-01")
    after = (
        LOCK.with_image("dokuwiki/dokuwiki:1", moved).with_image("new:1", WIKI).only({"dokuwiki/dokuwiki:1", "new:1"})
    )
    assert after.changes(LOCK) == (
        LockChange("dokuwiki/dokuwiki:1", A, B),
        LockChange("ez-homelab/x:1-0", B, ""),
        LockChange("new:1", "", A),
    )
    assert LOCK.changes(LOCK) == ()


def faults(text: str) -> list[str]:
    with pytest.raises(LabFileError) as refused:
        parse_lock(text)
    assert refused.value.fix
    return [str(fault) for fault in refused.value.faults]


def test_a_merge_that_was_not_finished() -> None:
    lines = LOCK.text().splitlines()
    text = "\n".join([*lines[:3], "<<<<<<< HEAD", lines[3], "=======", lines[3], ">>>>>>> theirs", *lines[4:]])
    told = faults(text)
    assert [fault.split(": ")[0] for fault in told] == [f"{FILE}:4:1", f"{FILE}:6:1", f"{FILE}:8:1"]
    assert "merge" in told[0]


def changed(**changes: Any) -> str:
    document = json.loads(LOCK.text())
    document["images"]["ez-homelab/x:1-0"] |= changes
    return json.dumps(document, indent=2, sort_keys=True)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "1:1", "not JSON"),
        (LOCK.text()[:100], "4:17", "not JSON"),
        ("[]", "1:1", "should be a mapping"),
        ('{"version": 2, "images": {}, "sources": {}}', "1:2", "version 2 of this file is not known"),
        ('{"images": {}, "sources": {}}', "1:1", "version None"),
        ('{"version": true, "images": {}, "sources": {}}', "1:2", "version True"),
        ('{"version": 1,\n "images": [],\n "sources": {}}', "2:2", "`images` should be a mapping"),
        ('{"version": 1,\n "images": {}}', "1:1", "`sources` should be a mapping"),
        ('{"version": 1,\n "images": {},\n "sources": {},\n "more": 1}', "4:2", "unknown key `more`"),
        ('{"version": 1,\n "images": {},\n "sources": {"wiki": "attic"}}', "3:14", "registry"),
        ('{"version": 1,\n "images": {},\n "sources": {"a": "registry",\n  "a": "packages"}}', "4:3", ""),
        ('{"version": 1,\n "images": {"a:1": 5},\n "sources": {}}', "2:13", "has these texts"),
        (LOCK.text().replace("ez-homelab/x:1-0", "ez-homelab/x"), "9:5", "name of an image"),
        (changed(digest="sha256:1"), "10:7", "not a digest"),
        (changed(repository="ez-homelab/x:1"), "12:7", "not a repository"),
        (changed(repository="a b"), "12:7", "not a repository"),
        (changed(source="attic"), "13:7", "source"),
        (changed(locked="22.11.2026"), "11:7", "not a day"),
        (changed(locked=5), "9:5", "has these texts"),
        (changed(more="x"), "9:5", "has these texts"),
        ("[" * 100_000, "", "nested"),
    ],
)
def test_damage_is_told_with_its_place(text: str, place: str, words: str) -> None:
    [told] = faults(text)
    assert f"{FILE}:{place}" in told
    assert words in told


def test_all_mistakes_at_once_in_reading_order() -> None:
    text = LOCK.text().replace("2026-11-22", "soon").replace(f'"{B}"', '"none"')
    assert len(faults(text)) == 2


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(LabFileError, match=FILE):
        ImageLock.load(tmp_path)


KEYS = st.sampled_from(["version", "images", "sources", "digest", "a:1"])
JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner)
)


@given(st.text(max_size=60) | JSON.map(json.dumps))
def test_hostile_text_is_refused_or_read(text: str) -> None:
    try:
        lock = parse_lock(text)
    except LabFileError as error:
        assert error.faults
    else:
        assert parse_lock(lock.text()) == lock
