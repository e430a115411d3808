"""Tells a running Authelia who there is: its list of people is merged with the lab's, on core, as root.

It reads the list again by itself whenever the file changes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ez_homelab.errors import EzError
from ez_homelab.hosts import Command
from ez_homelab.sso.authelia.configuration import USERS_FILE
from ez_homelab.sso.authelia.people import merge_users

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.config.people import Person
    from ez_homelab.hosts import Completed, Host

AUTHELIA = "authelia"
"""The name of its container."""

# Arguments: the file, and the SHA-256 of what was merged. Where Authelia has written in the meantime nothing changes.
_REPLACE = 'umask 077; cat > "$1.new" && sha256sum "$1" | grep -q "^$2 " && mv "$1.new" "$1"'


class AutheliaError(EzError):
    """Authelia's list of people could not be read or written."""

    code = "authelia"


async def tell_people(core: Host, people: Mapping[str, Person]) -> bool:
    """Bring its list up to date; says whether there was anything to change.

    Raises `AutheliaError` where it does not run or its file cannot be written, `FaultyFileError` where the file is
    none of its own, `UnreachableError` as the host does.
    """
    read = await core.run(Command(("docker", "exec", AUTHELIA, "cat", USERS_FILE), changes=False))
    if not read.ok:
        raise _failed("read", read)
    now = read.stdout.encode()
    wanted = merge_users(now, people, {})
    if wanted == now:
        return False
    argv = ("docker", "exec", "-i", AUTHELIA, "sh", "-c", _REPLACE, "sh", USERS_FILE, hashlib.sha256(now).hexdigest())
    written = await core.run(Command(argv, stdin=wanted))
    if not written.ok:
        raise _failed("written", written)
    return True


def _failed(done: str, completed: Completed) -> AutheliaError:
    return AutheliaError(
        f"Authelia's list of people could not be {done}",
        evidence=completed.last_line,
        cause="its container does not run, or somebody has just changed a password",
        fix="ez-homelab status, then ez-homelab apply",
    )
