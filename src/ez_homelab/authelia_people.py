"""Tells a running Authelia who there is: its list of people is merged with the lab's, on core, as root.

It reads the list again by itself whenever the file changes, and says so in its log.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import TYPE_CHECKING

from ez_homelab.errors import EzError
from ez_homelab.hosts import Command
from ez_homelab.sso.authelia.configuration import USERS_FILE
from ez_homelab.sso.authelia.people import ARGON2, merge_users

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ez_homelab.config.people import Person
    from ez_homelab.hosts import Completed, Host
    from ez_homelab.secrets.value import Secret

AUTHELIA = "authelia"
"""The name of its container."""

ASK_PEOPLE = ("docker", "exec", AUTHELIA, "cat", USERS_FILE)
"""The command that prints its list of people; `told_people` reads the answer."""

# Arguments: the file, and the SHA-256 of what was merged. Where Authelia has written in the meantime nothing changes.
_REPLACE = 'umask 077; cat > "$1.new" && sha256sum "$1" | grep -q "^$2 " && mv "$1.new" "$1"'

ATTEMPTS = 3
"""How often the list is merged anew where somebody changes a password at the same moment."""

LOOKS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5, 0.5)
"""Seconds between two looks at whether it has read the list again (it takes some 50 ms)."""

COOLDOWN = 0.6
"""Seconds in which Authelia 4.39 overlooks a second change after a first (`FileUserProvider.Reload`), and some."""

_READ_AGAIN = "Reloaded successfully"


class AutheliaError(EzError):
    """Authelia could not be asked, or its list of people could not be read or written."""

    code = "authelia"


async def tell_people(core: Host, people: Mapping[str, Person]) -> bool:
    """Bring its list up to date; says whether there was anything to change.

    Raises `AutheliaError` where it does not run or its file cannot be written, `FaultyFileError` where the file is
    none of its own, `UnreachableError` as the host does.
    """
    return await change_people(core, lambda now: merge_users(now, people, {}))


async def set_password(core: Host, people: Mapping[str, Person], user: str, password: Secret) -> None:
    """Give one of these people a password; sessions of theirs stay as they are. Raises as `tell_people`."""
    hashed = password_hash(password)
    await change_people(core, lambda now: merge_users(now, people, {user: hashed}))


async def change_people(core: Host, change: Callable[[bytes], bytes]) -> bool:
    """Write what `change` makes of the list, and wait until Authelia has read it; False where it makes no difference.

    `change` is asked again where Authelia has written in the meantime. Raises as `tell_people`.
    """
    for attempt in range(1, ATTEMPTS + 1):
        now = await read_people(core)
        wanted = change(now)
        if wanted == now:
            return False
        known = await _times_read(core)
        written = await _replace(core, now, wanted)
        if written.ok:
            await _until_read(core, wanted, known)
            return True
        if attempt == ATTEMPTS:
            raise _failed("written", written)
    raise AssertionError  # the last attempt has returned or raised


async def read_people(core: Host) -> bytes:
    """The list as Authelia has it. Raises `AutheliaError` where it does not run."""
    return told_people(await core.run(Command(ASK_PEOPLE, changes=False)))


def told_people(answer: Completed) -> bytes:
    """The list in the answer to `ASK_PEOPLE`. Raises `AutheliaError` where there is none."""
    if not answer.ok:
        raise _failed("read", answer)
    return answer.stdout.encode()


def password_hash(password: Secret) -> str:
    """The hash that stands for the password in the list (argon2id as in Authelia's configuration, a PHC string)."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    kdf = Argon2id(
        salt=os.urandom(16),
        length=32,
        iterations=ARGON2["iterations"],
        lanes=ARGON2["parallelism"],
        memory_cost=ARGON2["memory"],
    )
    return kdf.derive_phc_encoded(password.reveal().encode())


async def _replace(core: Host, now: bytes, wanted: bytes) -> Completed:
    argv = ("docker", "exec", "-i", AUTHELIA, "sh", "-c", _REPLACE, "sh", USERS_FILE, hashlib.sha256(now).hexdigest())
    return await core.run(Command(argv, stdin=wanted))


async def _until_read(core: Host, written: bytes, known: frozenset[str] | None) -> None:
    for _ in range(ATTEMPTS):
        for pause in LOOKS:
            await asyncio.sleep(pause)
            times = await _times_read(core)
            # A log that cannot be read tells nothing: then it has had its time after the last look.
            if known is not None and times is not None and times - known:
                await asyncio.sleep(COOLDOWN)
                return
        if known is None:
            return
        # A second change right after one of its own is overlooked; the same text once more is a new change.
        await _replace(core, written, written)
    raise AutheliaError(
        "Authelia has not read its list of people again",
        evidence=f"its log has no new line that says {_READ_AGAIN}",
        cause="it hangs or has just been started, or the list was damaged by hand",
        fix="ez-homelab logs authelia, then ez-homelab apply",
    )


async def _times_read(core: Host) -> frozenset[str] | None:
    """When it has read the list in the last minutes, as Docker noted it; None where its log cannot be read."""
    argv = ("docker", "logs", "--timestamps", "--since", "5m", AUTHELIA)
    read = await core.run(Command(argv, changes=False))
    lines = (read.stdout + read.stderr).splitlines()
    return frozenset(line.partition(" ")[0] for line in lines if _READ_AGAIN in line) if read.ok else None


def _failed(done: str, completed: Completed) -> AutheliaError:
    return AutheliaError(
        f"Authelia's list of people could not be {done}",
        evidence=completed.last_line,
        cause="its container does not run, or somebody has just changed a password",
        fix="ez-homelab status, then ez-homelab apply",
    )
