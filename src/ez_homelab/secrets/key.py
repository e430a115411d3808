"""The key that opens the lab's secrets: an age identity in a file of its own, outside the lab's folder.

Its form is that of `age-keygen`, so that the `age` program can open the store with it.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyrage  # type: ignore[import-untyped]

from ez_homelab.hosts.local_files import read_file, told_as_command_error, write_file
from ez_homelab.secrets.error import SecretsError
from ez_homelab.secrets.locked import folder_locked

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = "this machine"


def default_key_file(environment: Mapping[str, str] = os.environ, *, root: bool | None = None) -> Path:
    """$EZ_SECRETS_KEY; else /etc/ez-homelab/key.txt for root and ~/.config/ez-homelab/key.txt for everybody else."""
    if named := environment.get("EZ_SECRETS_KEY"):
        return Path(named).absolute()
    if os.geteuid() == 0 if root is None else root:
        return Path("/etc/ez-homelab/key.txt")
    configuration = environment.get("XDG_CONFIG_HOME", "")
    # The XDG base directory specification: a relative path is to be ignored.
    folder = Path(configuration) if configuration.startswith("/") else Path.home() / ".config"
    return folder / "ez-homelab" / "key.txt"


class NotOpenedError(Exception):
    """What was sealed does not open; `other_key`: because it was sealed for another one. The text is the evidence."""

    def __init__(self, evidence: str) -> None:
        super().__init__(evidence.partition("\n")[0])
        self.other_key = evidence == "No matching keys found"


@dataclass(frozen=True)
class Key:
    """The identities of a key file. All of them open; what is sealed is sealed for the first."""

    path: Path
    identities: tuple[pyrage.x25519.Identity, ...] = field(repr=False)

    @property
    def recipient(self) -> str:
        """The public half: what `age` and people call the key by."""
        return str(self.identities[0].to_public())

    def seal(self, content: bytes) -> bytes:
        """The content as an age file in ASCII armour, never the same twice."""
        return bytes(pyrage.encrypt(content, [self.identities[0].to_public()], armored=True))

    def open(self, sealed: bytes) -> bytes:
        """What was sealed. Raises `NotOpenedError`."""
        try:
            return bytes(pyrage.decrypt(sealed, self.identities))
        except pyrage.DecryptError as error:
            raise NotOpenedError(str(error)) from None


def load_key(path: Path) -> Key | None:
    """The key; None where there is no file. Raises `SecretsError` where the file holds no key."""
    with told_as_command_error("was not read", str(path), HERE):
        content = read_file(str(path))
    if content is None:
        return None
    lines = [line.strip() for line in content.decode(errors="replace").splitlines()]
    try:
        identities = tuple(pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#"))
    except pyrage.IdentityError as error:
        raise _no_key(path, "one of its lines is not an age identity") from error
    if not identities:
        raise _no_key(path, "it is empty")
    return Key(path, identities)


def make_key(path: Path) -> Key:
    """The key of the file, made now where there is none: 0600, in a folder that is 0700 if it is made too.

    Two runs that make one at the same time get the same one.
    """
    with told_as_command_error("was not written", str(path), HERE):
        _make_folder(path.parent)
        with folder_locked(path.parent):
            if (there := load_key(path)) is not None:
                return there
            made = pyrage.x25519.Identity.generate()
            now = datetime.now(UTC).isoformat(timespec="seconds")
            text = f"# created: {now}\n# public key: {made.to_public()}\n{made}\n"
            write_file(str(path), text.encode(), mode=0o600, uid=os.geteuid(), gid=os.getegid())
    return Key(path, (made,))


def _make_folder(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def _no_key(path: Path, evidence: str) -> SecretsError:
    # The line itself is never told: it may be the key with one wrong character.
    return SecretsError(
        f"{path} is not a key for the lab's secrets",
        evidence=evidence,
        cause="the file is damaged, or another file was put in its place",
        fix=f"restore the key from the recovery kit: install -m 600 KEY {shlex.quote(str(path))}",
    )
