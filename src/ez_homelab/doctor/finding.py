"""The words that checks are written in: what is asked about, what is found, and what a check is."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from ez_homelab.prerequisites.survey import looking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.hosts.protocol import Command, Completed

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""Worst first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that stands in the way, or soon will. `code` is stable; `fix` is one thing to do."""

    code: str
    severity: Severity
    what: str
    evidence: str = ""
    cause: str = ""
    fix: str = ""

    @property
    def blocking(self) -> bool:
        """Whether `up` stops before it changes anything."""
        return self.severity == "error"

    def to_dict(self) -> dict[str, object]:
        """The finding as every face prints it with `--json`."""
        return asdict(self) | {"blocking": self.blocking}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a check has to know of the lab, for one server.

    `address` is where the entry points listen, on `ports`. `data_paths` are the folders that apps are given.
    `architectures` says for each app what it runs on, in Docker's names (none where
    that is not known). `reserved_bytes` is the memory that all apps
    together reserve. `needs_build` says whether package editions have to be built here.

    `sign_on` is the engine's container and `engine` its name; `admins` are those who may sign in. `certificate` is the
    file that Traefik serves from. `lan` are the networks that count as the lab's own, `lan_routes` the apps that answer
    there alone, and `open_routes` those that nobody signs in to, each with the reason. `registrations` are the apps in
    which people can make accounts for themselves, each with how that is closed. `cut_off` are the apps that fall asleep
    under open connections, each with its idle time in seconds. `sleeping` are those that may sleep at all, `wakers` the
    containers that wake them, each with its app's name; `sablier` says that those are not the built-in engine's.
    """

    domain: str = "lab.localhost"
    address: str = "127.0.0.1"
    ports: tuple[int, ...] = (80, 443)
    data_paths: tuple[str, ...] = ()
    architectures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reserved_bytes: int = 0
    needs_build: bool = False
    engine: str = "builtin"
    sign_on: str = "gate"
    admins: tuple[str, ...] = ()
    certificate: str = ""
    lan: tuple[str, ...] = ()
    lan_routes: tuple[str, ...] = ()
    open_routes: Mapping[str, str] = field(default_factory=dict)
    registrations: Mapping[str, str] = field(default_factory=dict)
    cut_off: Mapping[str, float] = field(default_factory=dict)
    sleeping: tuple[str, ...] = ()
    wakers: Mapping[str, str] = field(default_factory=dict)
    sablier: bool = False


class CouldNotLook(Exception):  # noqa: N818 - not a failure: an answer that says nothing
    """A probe was answered with something a check cannot read; never taken for "is fine"."""

    def __init__(self, evidence: str, *, fix: str = "") -> None:
        super().__init__(evidence)
        self.evidence = evidence
        self.fix = fix


class Check(Protocol):
    """One thing that can be wrong. `about` completes the sentence "could not look at ..."."""

    name: str
    about: str

    def probes(self, subject: Subject) -> Mapping[str, Command]:
        """The questions to ask, by a name of the check's choosing. All have `changes=False`."""
        ...

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:
        """What the answers mean; empty where all is well. Pure. Raises `CouldNotLook`."""
        ...


def content_of(path: str) -> Command:
    """The probe that reads a file; its status is not 0 where there is none."""
    return looking("cat", path)
