"""users.yml, from which Authelia reads people and to which it writes their passwords: the lab's part and its, merged.

Form as of Authelia 4.39 (https://www.authelia.com/reference/guides/passwords/).

Authelia writes the whole file whenever somebody changes a password, and forgets who was disabled (4.39.20,
`FileUserDatabaseUserDetails.ToUserDetailsModel`). So `disabled` alone keeps nobody out: whoever is disabled has no
password, no address to which a reset could be sent, and no group. Once enabled again they need a new password.
"""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Any

from ez_homelab.config.people import PROOF_PREFIX
from ez_homelab.errors import Fault, FaultyFileError
from ez_homelab.sso.authelia.text import yaml_bytes
from ez_homelab.yaml_text import read_yaml

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from ez_homelab.config.people import Person

FILE = "users.yml"

GUEST_MINUTES = 5
"""After how long they count as left over."""

ARGON2 = {"memory": 19456, "iterations": 2, "parallelism": 1}
"""How passwords are hashed with argon2id, `memory` in KiB, keys as in Authelia's configuration.

OWASP's figures, as in the gate: a flood of sign-ins must not take all memory.
"""

_NOTHING = "$".join(base64.b64encode(bytes(size)).decode().rstrip("=") for size in (16, 32))
NO_PASSWORD = "$argon2id$v=19$m={memory},t={iterations},p={parallelism}$".format(**ARGON2) + _NOTHING
"""A hash that no password has: whoever has it cannot sign in before they are given one. Authelia asks for a hash."""


def merge_users(existing: bytes | None, people: Mapping[str, Person], hashes: Mapping[str, str]) -> bytes:
    """users.yml as it should be: `existing` as Authelia left it, with what `people` say and new passwords of `hashes`.

    Passwords and all attributes that the lab does not name stay as Authelia wrote them. Whoever is in the file and not
    among `people` is disabled, except identities of a proof, which go. Raises `FaultyFileError` where `existing` cannot
    be understood.
    """
    document = _read(existing)
    known = document["users"]
    stays = {user for user in known if not user.startswith(PROOF_PREFIX)} | {*people}
    users = {user: _entry(user, known.get(user, {}), people.get(user), hashes.get(user)) for user in stays}
    return _written(document, users)


def guest_name(now: float) -> str:
    """A user name for somebody who exists for one proof alone: `verify-`, the minute it is made, chance (hex)."""
    return f"{PROOF_PREFIX}{_minute(now):04x}{secrets.token_hex(2)}"


def is_stale(user: str, now: float) -> bool:
    """Whether this is somebody of a proof who has not been forgotten in time, because the proof was cut off."""
    if not user.startswith(PROOF_PREFIX):
        return False
    try:
        made = int(user.removeprefix(PROOF_PREFIX)[:4], 16)
    except ValueError:
        return True
    return (_minute(now) - made) % 0x10000 > GUEST_MINUTES


def with_guests(existing: bytes, guests: Mapping[str, tuple[Sequence[str], str]]) -> bytes:
    """users.yml with people of a proof besides; `guests` are their groups and password hashes by user name."""
    users = {
        user: {"disabled": False, "displayname": user, "password": password, "email": "", "groups": [*groups]}
        for user, (groups, password) in guests.items()
    }
    document = _read(existing)
    return _written(document, {**document["users"], **users})


def without_guests(existing: bytes, gone: Container[str], now: float) -> bytes:
    """users.yml without these people of a proof, and without those whom a proof has left that was cut off."""
    document = _read(existing)
    stay = {user: entry for user, entry in document["users"].items() if user not in gone and not is_stale(user, now)}
    return _written(document, stay) if stay.keys() != document["users"].keys() else existing


def guests_of(existing: bytes) -> frozenset[str]:
    """The people of proofs in the file."""
    return frozenset(user for user in _read(existing)["users"] if user.startswith(PROOF_PREFIX))


def with_password(existing: bytes) -> frozenset[str]:
    """Who in the file has a password and may sign in with it."""
    users = _read(existing)["users"].items()
    return frozenset(
        user for user, entry in users if entry.get("password") != NO_PASSWORD and not entry.get("disabled")
    )


def _minute(now: float) -> int:
    return int(now // 60) % 0x10000


def _written(document: dict[str, Any], users: Mapping[str, Any]) -> bytes:
    about = "People of the lab: who there is comes from users.yaml, passwords from here."
    return yaml_bytes(document | {"users": dict(sorted(users.items()))}, about)


def _entry(user: str, known: Mapping[str, Any], person: Person | None, new_hash: str | None) -> dict[str, Any]:
    if person is None or person.disabled:
        name = person.name if person else known.get("displayname", user)
        ours: dict[str, Any] = {
            "disabled": True,
            "displayname": name,
            "password": NO_PASSWORD,
            "email": "",
            "groups": [],
        }
    else:
        ours = {
            "disabled": False,
            "displayname": person.name,
            "password": new_hash or known.get("password", NO_PASSWORD),
            "email": person.email,
            "groups": [*person.groups],
        }
    return ours | {key: value for key, value in known.items() if key not in ours}


def _read(existing: bytes | None) -> dict[str, Any]:
    if not existing or not existing.strip():
        return {"users": {}}
    data = read_yaml(existing, FILE).data
    users = data.get("users") if isinstance(data, dict) else None
    if not isinstance(users, dict) or not all(isinstance(entry, dict) for entry in users.values()):
        fault = Fault(FILE, 1, 1, "this is not Authelia's list of people: it has no `users` with a mapping for each")
        raise FaultyFileError(f"{FILE} cannot be read as it stands", (fault,), fix=f"bring {FILE} back from a backup")
    assert isinstance(data, dict)  # noqa: S101 - follows from `users`
    return data
