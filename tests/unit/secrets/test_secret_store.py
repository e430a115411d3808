"""The store keeps what it was given, opens only with its key, and is never half-written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pyrage
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ez_homelab import redaction
from ez_homelab.errors import CommandError, EzError, PlanStaleError
from ez_homelab.secrets.entry import Entry, decode, encode
from ez_homelab.secrets.error import SecretsError
from ez_homelab.secrets.key import default_key_file, load_key, make_key
from ez_homelab.secrets.needs import Charset, Need
from ez_homelab.secrets.store import STORE_FILE, SecretStore
from ez_homelab.secrets.value import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = Need("wiki", "db_password", 32, "alnum")
TOKEN = Need("wiki", "token", 64, "hex")
OTHER = Need("notes", "db_password", 24, "base64url")


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(redaction, "_known", set())
    redaction._finder.cache_clear()
    yield
    redaction._finder.cache_clear()


class Place:
    """A lab's folder, and a key file elsewhere."""

    def __init__(self, base: Path) -> None:
        self.folder = base / "lab"
        self.folder.mkdir()
        self.key = base / "keys" / "key.txt"
        self.file = self.folder / STORE_FILE

    def open(self) -> SecretStore:
        return SecretStore.open(self.folder, self.key)

    def saved(self, *needs: Need) -> SecretStore:
        store = self.open().with_needed(needs)
        store.save()
        return store

    def refusal(self) -> SecretsError:
        """What opening the store is refused with; it tells nothing secret, and changes nothing."""
        before = self.file.read_bytes() if self.file.exists() else None
        values = (
            [line for line in self.key.read_text(errors="replace").splitlines() if line] if self.key.exists() else []
        )
        with pytest.raises(SecretsError) as refused:
            self.open()
        told = json.dumps(refused.value.to_dict())
        assert not [value for value in values if value in told]
        assert refused.value.fix
        assert (self.file.read_bytes() if self.file.exists() else None) == before
        return refused.value


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def revealed(store: SecretStore) -> dict[tuple[str, str], str]:
    return {name: entry.value.reveal() for name, entry in store.entries().items()}


def test_a_lab_without_secrets_needs_neither_file_nor_key(place: Place) -> None:
    store = place.open()
    assert store.get("wiki", "db_password") is None
    assert not store.entries()
    store.save()
    assert not place.file.exists()
    assert not place.key.exists()


def test_what_is_needed_is_made_once_and_kept(place: Place) -> None:
    empty = place.open()
    store = empty.with_needed([PASSWORD, TOKEN])
    assert (empty.changed, store.changed) == (False, True)
    assert not empty.entries()
    assert not store.on_disk()
    assert not place.file.exists()
    store.save()
    assert not store.changed
    assert store.on_disk() == store.entries()
    again = place.open()
    assert revealed(again) == revealed(store)
    assert again.entries() == store.entries()
    assert again.with_needed([TOKEN, PASSWORD]) is again
    more = again.with_needed([OTHER, PASSWORD])
    assert revealed(more).items() > revealed(store).items()
    more.save()
    assert place.open().with_needed([]).get("wiki", "token") == store.get("wiki", "token")


def test_rotation_keeps_the_old_value_until_the_next_one(place: Place) -> None:
    first = place.saved(PASSWORD)
    old = first.get("wiki", "db_password")
    rotated = first.rotated("wiki", "db_password", PASSWORD)
    rotated.save()
    entry = place.open().entries()["wiki", "db_password"]
    assert (entry.previous, entry.pending) == (old, True)
    assert entry.value not in (old, None)
    assert entry.rotated is not None
    settled = place.open().settled()
    settled.save()
    entry = place.open().entries()["wiki", "db_password"]
    assert (entry.pending, entry.previous) == (False, old)
    assert place.open().settled().changed is False
    assert settled.rotated("wiki", "db_password", PASSWORD).entries()["wiki", "db_password"].previous == entry.value


def test_a_rotation_that_is_under_way_is_finished_before_the_next(place: Place) -> None:
    pending = place.saved(PASSWORD).rotated("wiki", "db_password", PASSWORD)
    assert pending.rotated("wiki", "db_password", PASSWORD) is pending


def test_rotating_what_there_is_not_yet_makes_it(place: Place) -> None:
    store = place.open().rotated("wiki", "db_password", PASSWORD)
    entry = store.entries()["wiki", "db_password"]
    assert (entry.previous, entry.rotated, entry.pending) == (None, None, False)


def test_every_value_is_taken_out_of_what_is_printed(place: Place) -> None:
    store = place.saved(PASSWORD).rotated("wiki", "db_password", PASSWORD)
    store.save()
    redaction._known.clear()
    redaction._finder.cache_clear()
    opened = place.open()
    entry = opened.entries()["wiki", "db_password"]
    assert entry.previous is not None
    made = opened.with_needed([TOKEN]).get("wiki", "token")
    assert made is not None
    text = f"{entry.value.reveal()} {entry.previous.reveal()} {made.reveal()}"
    assert redaction.clean(text) == "[secret] [secret] [secret]"
    assert not [value for value in text.split() if value in repr(opened.entries())]


def test_modes_and_folders(place: Place) -> None:
    place.saved(PASSWORD)
    assert place.file.stat().st_mode & 0o777 == 0o600
    assert place.key.stat().st_mode & 0o777 == 0o600
    assert place.key.parent.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in place.folder.iterdir()) == [STORE_FILE]
    assert sorted(path.name for path in place.key.parent.iterdir()) == ["key.txt"]
    place.file.chmod(0o640)
    place.saved(TOKEN)
    assert place.file.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_file_belongs_to_the_owner_of_the_lab(place: Place) -> None:
    os.chown(place.folder, 65534, 65533)
    place.saved(PASSWORD)
    assert (place.file.stat().st_uid, place.file.stat().st_gid) == (65534, 65533)
    assert place.key.stat().st_uid == 0


def test_the_file_is_text_and_holds_nothing_readable(place: Place) -> None:
    values = revealed(place.saved(PASSWORD, TOKEN)).values()
    text = place.file.read_text()
    assert text.startswith("-----BEGIN AGE ENCRYPTED FILE-----\n")
    assert not [word for word in (*values, "wiki", "db_password") if word in text]


@pytest.mark.skipif(not shutil.which("age"), reason="the age program is not installed")
def test_the_age_program_opens_it(place: Place) -> None:
    store = place.saved(PASSWORD)
    opened = subprocess.run(["age", "--decrypt", "-i", place.key, place.file], capture_output=True, check=True)
    assert decode(opened.stdout) == store.entries()
    public = subprocess.run(["age-keygen", "-y", place.key], capture_output=True, check=True, text=True)
    assert f"# public key: {public.stdout.strip()}\n" in place.key.read_text()


@pytest.mark.skipif(not shutil.which("age-keygen"), reason="the age program is not installed")
def test_a_key_of_the_age_program_fits(place: Place) -> None:
    place.key.parent.mkdir()
    subprocess.run(["age-keygen", "-o", place.key], capture_output=True, check=True)
    before = place.key.read_bytes()
    store = place.saved(PASSWORD)
    assert revealed(place.open()) == revealed(store)
    assert place.key.read_bytes() == before


def test_a_missing_key_is_never_made_anew(place: Place) -> None:
    store = place.saved(PASSWORD)
    place.key.unlink()
    refused = place.refusal()
    assert refused.code == "secrets"
    assert "is missing" in refused.what
    assert "recovery kit" in refused.fix
    with pytest.raises(SecretsError, match="is missing"):
        store.with_needed([TOKEN]).save()
    assert not place.key.exists()


def test_another_key_is_told_from_a_damaged_file(place: Place) -> None:
    place.saved(PASSWORD)
    place.key.unlink()
    make_key(place.key)
    assert "is not the key for" in place.refusal().what


def test_two_keys_in_one_file_both_open(place: Place) -> None:
    place.saved(PASSWORD)
    newer = pyrage.x25519.Identity.generate()
    place.key.write_text(f"# the new one\n{newer}\n\n{place.key.read_text()}")
    place.saved(TOKEN)
    place.key.write_text(f"{newer}\n")
    assert len(place.open().entries()) == 2


@pytest.mark.parametrize(
    "content", [b"", b"# nothing\n", b"AGE-SECRET-KEY-1QQQQ\n", b"\xff\xfe", b"ssh-ed25519 AAAA\n"]
)
def test_a_file_that_is_no_key(place: Place, content: bytes) -> None:
    place.saved(PASSWORD)
    place.key.write_bytes(content)
    assert "is not a key" in place.refusal().what


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(at=st.integers(0, 10_000), new=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_file_is_refused_or_says_the_same(place: Place, at: int, new: int, cut: bool) -> None:
    if not place.key.exists():
        place.saved(PASSWORD)
        (place.folder / "whole").write_bytes(place.file.read_bytes())
        (place.folder / "value").write_text(revealed(place.open())["wiki", "db_password"])
    whole = (place.folder / "whole").read_bytes()
    at %= len(whole)
    place.file.write_bytes(whole[:at] if cut else whole[:at] + bytes([new]) + whole[at + 1 :])
    try:
        opened = place.open()
    except SecretsError as refused:
        assert refused.fix
        assert refused.cause
    else:
        assert revealed(opened) == {("wiki", "db_password"): (place.folder / "value").read_text()}


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"null", b'{"version": 1}', b'{"version": 1, "secrets": []}', b'{"version": 1, "secrets": {"a": 1}}',
     b'{"version": 1, "secrets": {"a": {"b": {}}}}', b"\xff", b'{"version": 2, "secrets": {}}',
     b'{"version": 1, "secrets": {"a": {"b": {"value": 1, "previous": null, "made": "", "rotated": null}}}}'],
)  # fmt: skip
def test_a_document_that_is_none_of_ours(place: Place, document: bytes) -> None:
    place.file.write_bytes(make_key(place.key).seal(document))
    refused = place.refusal()
    assert "cannot be read" in refused.what
    assert ("version 2" in refused.evidence) == (b'"version": 2' in document)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
secrets = st.builds(Secret, texts)
entries = st.builds(
    Entry, value=secrets, made=texts, previous=st.none() | secrets, rotated=st.none() | texts, pending=st.booleans()
)
charsets = st.sampled_from(get_args(Charset))
needs = st.builds(Need, texts, texts, st.integers(16, 64), charsets)
documents = st.dictionaries(st.tuples(texts, texts), entries, max_size=5)


@given(documents)
def test_documents_come_back_as_they_were(document: dict[tuple[str, str], Entry]) -> None:
    assert decode(encode(document)) == document


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(wanted=st.lists(needs))
def test_stores_come_back_as_they_were(place: Place, wanted: list[Need]) -> None:
    before = revealed(place.open())
    store = place.saved(*wanted)
    assert place.open().entries() == store.entries()
    assert revealed(store).items() >= before.items()
    assert set(revealed(store)) == set(before) | {(need.instance, need.id) for need in wanted}


def test_a_key_in_the_lab_is_refused(place: Place, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(place.folder)
    for key in (place.folder / "key.txt", place.folder / "deep" / "key.txt", link / "key.txt"):
        with pytest.raises(SecretsError, match="lies in the lab's folder"):
            SecretStore.open(place.folder, key)
    assert list(place.folder.iterdir()) == []


def test_a_file_that_changed_meanwhile_is_not_overwritten(place: Place) -> None:
    mine = place.open().with_needed([PASSWORD])
    theirs = place.saved(TOKEN)
    with pytest.raises(PlanStaleError):
        mine.save()
    assert place.open().entries() == theirs.entries()
    mine = place.open().with_needed([PASSWORD])
    place.file.unlink()
    with pytest.raises(PlanStaleError):
        mine.save()
    assert not place.file.exists()


def test_of_twenty_at_once_none_is_lost(place: Place) -> None:
    def keep_trying(number: int) -> None:
        while True:
            try:
                place.saved(Need("wiki", f"id{number}", 16, "alnum"))
            except PlanStaleError:
                continue
            return

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(keep_trying, range(20)))
    assert len(place.open().entries()) == 20


def test_keys_made_at_once_are_one(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "key.txt"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: make_key(path).recipient, range(8)))
    found = load_key(path)
    assert found is not None
    assert set(made) == {found.recipient}


def test_what_the_disk_refuses_is_told(place: Place) -> None:
    store = place.open().with_needed([PASSWORD])
    place.key.parent.write_text("a file where the folder should be")
    with pytest.raises(CommandError, match=r"key\.txt was not written"):
        store.save()
    assert not place.file.exists()
    place.file.mkdir()
    with pytest.raises(CommandError, match=r"secrets\.age was not read"):
        place.open()


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_step_the_file_is_the_old_or_the_new_one(place: Place, when: str) -> None:
    program = Path(__file__).with_name("killed_saves.py")
    ended = subprocess.run([sys.executable, program, place.folder, place.key, when], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    seen = [tuple(one) for one in json.loads(ended.stdout)]
    assert seen[-1] == ("new", "ended")
    assert {kept for kept, _ in seen} == {"old", "new"}
    assert sum(how == "killed" for _, how in seen) >= 6
    assert sorted(path.name for path in place.folder.iterdir()) == [STORE_FILE]
    assert sorted(path.name for path in place.key.parent.iterdir()) == ["key.txt"]


def test_where_the_key_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    own = tmp_path / ".config" / "ez-homelab" / "key.txt"
    assert default_key_file({}, root=True) == Path("/etc/ez-homelab/key.txt")
    assert default_key_file({"XDG_CONFIG_HOME": "/x"}, root=True) == Path("/etc/ez-homelab/key.txt")
    assert default_key_file({}, root=False) == own
    assert default_key_file({"XDG_CONFIG_HOME": "relative"}, root=False) == own
    assert default_key_file({"XDG_CONFIG_HOME": "/x"}, root=False) == Path("/x/ez-homelab/key.txt")
    assert default_key_file({"EZ_SECRETS_KEY": "k.txt"}, root=True) == tmp_path / "k.txt"


def test_the_error_is_one_that_people_are_told() -> None:
    assert issubclass(SecretsError, EzError)
    assert (SecretsError.code, SecretsError.exit_status) == ("secrets", 1)
