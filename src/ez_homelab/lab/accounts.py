"""What is known of the people who may sign in: from users.yaml, and from the engine of sign-on."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.config.people import Person
    from ez_homelab.secrets.value import Secret

State = Literal["active", "invited", "no password", "disabled", "unknown"]
"""`invited`: there is a valid link and no password; `no password`: nor a link; `unknown`: sign-on was not asked."""

_CODE = re.compile(r"^[ \t]*([A-Z0-9]{6,20})[ \t]*$", re.MULTILINE)
_ADDRESS = re.compile(r"https://[^\s<>\"]+")


@dataclass(frozen=True, slots=True)
class Account:
    """What sign-on knows of one person; times in UTC, ISO 8601. `sessions` None: it tells nobody (Authelia)."""

    password: bool = False
    totp: bool = False
    passkeys: int = 0
    recovery_left: int = 0
    sessions: int | None = 0
    last_seen: str | None = None
    invited_until: str | None = None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Account:
        """The account as the gate tells it."""
        return cls(**{name: told[name] for name in cls.__dataclass_fields__ if name in told})

    @property
    def second_factor(self) -> bool:
        """Whether the person can show one."""
        return self.totp or self.passkeys > 0

    @property
    def used(self) -> bool:
        """Whether somebody could sign in with what there is."""
        return self.password or self.second_factor or bool(self.sessions)


@dataclass(frozen=True, slots=True)
class UserRow:
    """One person; `account` is None where sign-on could not be asked."""

    user: str
    person: Person
    account: Account | None

    @property
    def state(self) -> State:
        """Whether and how the person can sign in."""
        if self.person.disabled:
            return "disabled"
        if self.account is None:
            return "unknown"
        if self.account.password:
            return "active"
        return "invited" if self.account.invited_until else "no password"

    def to_dict(self) -> dict[str, object]:
        """The row as every face prints it with `--json`."""
        known = asdict(self.account) if self.account else dict.fromkeys(Account.__dataclass_fields__)
        person = asdict(self.person) | {"groups": [*self.person.groups]}
        return {"user": self.user, **person, "state": self.state, **known}


@dataclass(frozen=True, slots=True)
class UserList:
    """Everybody in users.yaml; `unknown` says why sign-on could not be asked, and is empty where it was."""

    rows: tuple[UserRow, ...]
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A one-time link for a person; `expires` in UTC, ISO 8601."""

    user: str
    url: Secret
    expires: str


@dataclass(frozen=True, slots=True)
class FirstPassword:
    """A password that was made for a person who has no address to which a link could go."""

    user: str
    password: Secret


@dataclass(frozen=True, slots=True)
class Mailed:
    """A link that Authelia has sent to a person's own address; nobody else sees it."""

    user: str
    email: str


Way = Link | FirstPassword | Mailed
"""How somebody comes to a first or a new password."""


@dataclass(frozen=True, slots=True)
class Message:
    """What Authelia wrote for a person into a file instead of sending it, with a code or else a link."""

    user: str
    date: str
    subject: str
    code: str
    link: str


def last_message(text: str, user: str, person: Person) -> Message | None:
    """The last message in the file where it is for this person; None where it is for another, or there is none.

    Authelia 4.39's notifier for files (internal/notification) writes `Date`, `Recipient` and `Subject`, then the text.
    """
    begins = [found.start() for found in re.finditer("^Date: ", text, re.MULTILINE)]
    if not begins:
        return None
    last = text[begins[-1] :]
    head = dict(line.split(": ", 1) for line in last.splitlines()[:3] if ": " in line)
    recipient = head.get("Recipient", "")
    if (person.email or person.name) not in recipient:
        return None
    body = "\n".join(last.splitlines()[3:])
    code = _CODE.search(body)
    links = [link for link in _ADDRESS.findall(body) if "revo" not in link]
    return Message(
        user, head.get("Date", ""), head.get("Subject", ""), code[1] if code else "",
        "" if code or not links else links[0],
    )  # fmt: skip
