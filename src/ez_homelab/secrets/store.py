"""The lab's secrets: one encrypted file in the lab's folder, fit for git; its key lies elsewhere.

    store = SecretStore.open(folder).with_needed(needs)
    store.get("wiki", "db_password").reveal()
    store.save()

A store is a value: what changes it returns another one, and only `save` touches the disk. Whoever makes a store makes
its values known to `ez_homelab.redaction`.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from ez_homelab import redaction
from ez_homelab.errors import PlanStaleError
from ez_homelab.hosts.local_files import read_file, told_as_command_error, write_file
from ez_homelab.secrets.entry import DocumentError, Entries, Entry, decode, encode
from ez_homelab.secrets.error import SecretsError
from ez_homelab.secrets.generate import generate
from ez_homelab.secrets.key import HERE, NotOpenedError, default_key_file, load_key, make_key
from ez_homelab.secrets.locked import folder_locked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ez_homelab.secrets.key import Key
    from ez_homelab.secrets.needs import Need
    from ez_homelab.secrets.value import Secret

STORE_FILE = "secrets.age"
"""The store's name in the lab's folder."""


class SecretStore:
    """All secrets of a lab, as they are in the file or as they would be.

    Values of apps that are no longer in the lab stay, because their data may come back.
    """

    def __init__(self, path: Path, key_file: Path, sealed: bytes | None, on_disk: Entries, entries: Entries) -> None:
        self._path = path
        self._key_file = key_file
        self._sealed = sealed
        self._on_disk = on_disk
        self._entries = entries
        redaction.know(value for entry in entries.values() for value in entry.values())

    @classmethod
    def open(cls, folder: Path, key_file: Path | None = None) -> SecretStore:
        """The lab's store; an empty one where there is no file yet, and then no key is needed either.

        Raises `SecretsError` where the file cannot be opened: no key, another key, a damaged file.
        """
        path = folder.absolute() / STORE_FILE
        key_path = (key_file or default_key_file()).absolute()
        _require_apart(folder, key_path)
        sealed = _read(path)
        entries = MappingProxyType({}) if sealed is None else _unsealed(path, sealed, key_path)
        return cls(path, key_path, sealed, entries, entries)

    @property
    def changed(self) -> bool:
        """Whether there is something that `save` would write."""
        return self._entries != self._on_disk

    def get(self, instance: str, secret_id: str) -> Secret | None:
        """The value; None where there is none yet."""
        entry = self._entries.get((instance, secret_id))
        return entry.value if entry else None

    def entries(self) -> Mapping[tuple[str, str], Entry]:
        """Every entry by instance and id."""
        return self._entries

    def on_disk(self) -> Mapping[tuple[str, str], Entry]:
        """The entries that the file holds; what `save` has still to write is not among them."""
        return self._on_disk

    def with_needed(self, needs: Iterable[Need]) -> SecretStore:
        """The store with new values for what is needed and missing; this same one where nothing is."""
        missing = {(need.instance, need.id): need for need in needs if (need.instance, need.id) not in self._entries}
        now = _now()
        return self._with({name: Entry(generate(need), made=now) for name, need in missing.items()})

    def rotated(self, instance: str, secret_id: str, need: Need) -> SecretStore:
        """The store with a new value in place of this one, which stays as `previous`.

        A value that is pending already stays: an app may know it by now, and would be locked out without it.
        """
        before = self._entries.get((instance, secret_id))
        if before is None:
            return self.with_needed([need])
        if before.pending:
            return self
        after = replace(before, value=generate(need), previous=before.value, rotated=_now(), pending=True)
        return self._with({(instance, secret_id): after})

    def given(self, instance: str, secret_id: str, value: Secret) -> SecretStore:
        """The store with this value, which a person gave; the one before stays as `previous`."""
        before = self._entries.get((instance, secret_id))
        if before is None:
            return self._with({(instance, secret_id): Entry(value, made=_now())})
        after = replace(before, value=value, previous=before.value, rotated=_now(), pending=True)
        return self._with({(instance, secret_id): after})

    def settled(self) -> SecretStore:
        """The store once every new value is in force."""
        pending = {name: entry for name, entry in self._entries.items() if entry.pending}
        return self._with({name: replace(entry, pending=False) for name, entry in pending.items()})

    def save(self) -> None:
        """Write the file whole, where something changed; the key is made at the first time. Under the lab's lock.

        Raises `PlanStaleError` where the file is no longer the one that was opened, `SecretsError` where its key is
        gone, `CommandError` where the disk refuses. In each case the file stays as it was.
        """
        if not self.changed:
            return
        with told_as_command_error("was not written", str(self._path), HERE), folder_locked(self._path.parent):
            if _read(self._path) != self._sealed:
                raise _stale(self._path)
            sealed = self._key().seal(encode(self._entries))
            _write(self._path, sealed)
        self._sealed, self._on_disk = sealed, self._entries

    def _with(self, changes: dict[tuple[str, str], Entry]) -> SecretStore:
        if not changes:
            return self
        entries = MappingProxyType({**self._entries, **changes})
        return SecretStore(self._path, self._key_file, self._sealed, self._on_disk, entries)

    def _key(self) -> Key:
        if self._sealed is None:
            return make_key(self._key_file)
        return _existing_key(self._path, self._key_file)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read(path: Path) -> bytes | None:
    with told_as_command_error("was not read", str(path), HERE):
        return read_file(str(path))


def _write(path: Path, sealed: bytes) -> None:
    """As the lab folder's owner, who keeps it in git; only root can give files away."""
    owner = path.parent.stat()
    uid, gid = (owner.st_uid, owner.st_gid) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    write_file(str(path), sealed, mode=mode, uid=uid, gid=gid)


def _unsealed(path: Path, sealed: bytes, key_file: Path) -> Entries:
    key = _existing_key(path, key_file)
    try:
        return decode(key.open(sealed))
    except NotOpenedError as error:
        raise _not_opened(path, key, error) from None
    except DocumentError as error:
        raise SecretsError(
            f"{path} was opened and cannot be read",
            evidence=str(error),
            cause="another version of EZ-Homelab, or another program, wrote it",
            fix="use the version of EZ-Homelab that wrote it, or put the last good file back (git, or a backup)",
        ) from None


def _existing_key(path: Path, key_file: Path) -> Key:
    key = load_key(key_file)
    if key is None:
        # Never a new one: it could not open the file, and the next save would lose every secret in it.
        raise SecretsError(
            f"the key for {path} is missing",
            evidence=f"{key_file} does not exist",
            cause="the lab's folder came from another machine or a backup, or another user made the key",
            fix=_restore(key_file),
        )
    return key


def _not_opened(path: Path, key: Key, error: NotOpenedError) -> SecretsError:
    if error.other_key:
        return SecretsError(
            f"{key.path} is not the key for {path}",
            evidence=f"the file was not sealed for {key.recipient}",
            cause="the lab's folder came from another machine, or the key was made anew",
            fix=_restore(key.path),
        )
    return SecretsError(
        f"{path} is damaged",
        evidence=str(error),
        cause="the file was cut off or edited, or git merged it",
        fix="put the last good file back (git, or a backup)",
    )


def _restore(key_file: Path) -> str:
    quoted = shlex.quote(str(key_file))
    return f"restore the key from the recovery kit: install -D -m 600 KEY {quoted}; or name it: EZ_SECRETS_KEY=FILE"


def _require_apart(folder: Path, key_file: Path) -> None:
    """A key beside what it opens protects nothing, and goes into git with it."""
    if key_file.resolve().is_relative_to(folder.resolve()):
        raise SecretsError(
            "the key for the lab's secrets lies in the lab's folder",
            evidence=f"{key_file} is in {folder}",
            cause="EZ_SECRETS_KEY names a file there",
            fix=f"move it out, and let EZ_SECRETS_KEY name the new place: mv {shlex.quote(str(key_file))} ~",
        )


def _stale(path: Path) -> PlanStaleError:
    return PlanStaleError(
        f"{path} changed since it was read; nothing was written",
        evidence="the file is no longer the one that was opened",
        cause="another run saved secrets meanwhile, or git brought another version of the file",
        fix="run the command again",
    )
