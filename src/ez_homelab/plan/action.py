"""A plan is a value: what will be done, why, after what, and what it costs. One text form serves people and tests."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Kind = Literal[
    "image", "network", "volume", "authority", "certificate", "secret", "file", "service", "attachment",
    "on-demand",
]  # fmt: skip
Verb = Literal[
    "build", "pull", "create", "copy", "issue", "renew", "write", "replace", "recreate", "start", "restart",
    "connect", "disconnect", "own", "remove", "lock", "rotate", "hold", "release", "clear",
]  # fmt: skip

_SIGNS: dict[str, str] = {
    "build": "+", "pull": "+", "create": "+", "copy": "+", "issue": "+", "write": "+", "connect": "+",
    "lock": "+", "remove": "-", "clear": "-", "disconnect": "-",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Action:
    """One change of one resource on one server.

    `waits_for` holds the ids of actions that must be done first; `downtime` is the expected time in seconds during
    which the resource's app does not answer, `worst_downtime` the longest (0: not known) where the new version does not
    get well and the stack goes back; `destructive` means that something a person may miss is gone afterwards.
    `settings` are choices the planner made for the executor, such as a new network's subnet.
    """

    server: str
    kind: Kind
    name: str
    verb: Verb
    cause: str
    waits_for: tuple[str, ...] = ()
    downtime: float = 0.0
    worst_downtime: float = 0.0
    destructive: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The action's name, unique in its plan."""
        # A volume can be copied and then given to another owner in one plan; what is held is let go again.
        several = self.verb in ("copy", "clear") or self.kind == "on-demand"
        return f"{self.server}:{self.kind}:{self.name}{f':{self.verb}' if several else ''}"

    @property
    def sign(self) -> str:
        """`+` adds, `-` removes, `~` changes, `!` destroys."""
        return "!" if self.destructive else _SIGNS.get(self.verb, "~")

    def line(self) -> str:
        """The action's one text form."""
        return f"{self.sign} {self.kind:<11} {self.name}  {self.verb}: {self.cause}{self._cost()}"

    def _cost(self) -> str:
        if not self.downtime:
            return ""
        worst = f", at most {self.worst_downtime:.0f} s if it has to go back" if self.worst_downtime else ""
        return f"  (down about {self.downtime:.0f} s{worst})"


@dataclass(frozen=True, slots=True)
class Held:
    """A service that a person stopped: shown, and left alone."""

    server: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that a person edited on the server and wants to stay as it is: shown, and left alone."""

    server: str
    path: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """Everything that would be done to make the lab's servers match; nothing in it was done yet."""

    actions: tuple[Action, ...]
    held: tuple[Held, ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    kept: tuple[Kept, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.actions)

    @cached_property
    def hash(self) -> str:
        """A short name for exactly these actions: the same world and the same wish give the same hash."""
        text = json.dumps([asdict(action) for action in self.actions], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def text(self) -> str:
        """The plan as people, tests and the web page read it."""
        return "\n".join(self._lines()) + "\n"

    def to_dict(self) -> dict[str, object]:
        """The plan as `--json` prints it."""
        return {
            "hash": self.hash,
            "actions": [{"id": action.id, **asdict(action)} for action in self.actions],
            "held": [asdict(held) for held in self.held],
            "kept": [asdict(kept) for kept in self.kept],
            "unknown": [{"server": server, "reason": reason} for server, reason in self.unknown],
            "warnings": list(self.warnings),
        }

    def _lines(self) -> Iterator[str]:
        yield self.summary()
        for server in dict.fromkeys(action.server for action in self.actions):
            yield f"\n{server}"
            yield from (f"  {action.line()}" for action in self.actions if action.server == server)
        yield from (f"\n{held.server}: {held.name} is held: {held.reason}" for held in self.held)
        yield from (f"\n{kept.server}: {kept.path} is kept: {kept.reason}" for kept in self.kept)
        yield from (f"\n{server} is unknown: {reason}" for server, reason in self.unknown)
        yield from (f"\nwarning: {warning}" for warning in self.warnings)

    def summary(self) -> str:
        """One line: how much of what."""
        if not self.actions:
            servers = "the servers that could be looked at" if self.unknown else "the servers"
            return f"Nothing to do: {servers} are as the lab file says."
        counts = Counter(action.kind for action in self.actions if action.kind != "on-demand")
        parts = ", ".join(f"{count} {_plural(kind, count)}" for kind, count in counts.items())
        return f"Plan {self.hash}: {parts}"


def _plural(kind: str, count: int) -> str:
    if count == 1:
        return kind
    return kind[:-1] + "ies" if kind.endswith("y") else kind + "s"
