"""What every engine that puts apps to sleep is to the rest of the program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ez_homelab.config.model import Lab, OnDemandEngine
    from ez_homelab.route import ContainerTarget, Expectation, Lazy, Route

    Source = tuple[str, str]
    Files = Mapping[Source, Mapping[str, bytes]]

Readiness = Literal["http", "health", "running"]


@dataclass(frozen=True, slots=True)
class Part:
    """One container of what sleeps together, and when it is ready.

    `http`: `target` answers as `expectation` says. `health`: Docker's own health check says so. `running`: it has
    started. `memory` is what is free while it sleeps, in bytes.
    """

    container: str
    memory: int
    ready: Readiness = "running"
    target: ContainerTarget | None = None
    expectation: Expectation | None = None


@dataclass(frozen=True, slots=True)
class Sleeper:
    """What sleeps and wakes as one on a server: an app, or several that belong together.

    `lazy` is what holds for all of it, and `lazy.group` its name. `routes` are the names that lead to it, at least one;
    the first one's is the app that people know it by. `parts` stand in the order in which they start.
    """

    server: str
    lazy: Lazy
    routes: tuple[Route, ...]
    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        """The wake group's name."""
        return self.lazy.group

    @property
    def title(self) -> str:
        """What people call it."""
        return ", ".join(dict.fromkeys(route.title for route in self.routes))


class Engine(Protocol):
    """Programs that wake an app when somebody asks for it, and put it to sleep when nobody does.

    `apps` are the apps of the catalog that it consists of; they are in the core stack of servers where something
    sleeps. `writes` names what `files` writes, as (app, source in its service.yaml). On `network` (empty: it needs
    none) the first of the apps and Traefik are alone.
    """

    @property
    def name(self) -> OnDemandEngine:
        """What homelab.yaml calls it."""
        ...

    @property
    def apps(self) -> tuple[str, ...]:
        """The apps it consists of."""
        ...

    @property
    def writes(self) -> frozenset[Source]:
        """The rendered files and folders of these apps."""
        ...

    @property
    def network(self) -> str:
        """Where Traefik asks it; internal."""
        ...

    def files(self, lab: Lab, sleepers: Sequence[Sleeper]) -> Files:
        """What it reads, by app and source and then by the name below the mounted file or folder."""
        ...

    def traefik_files(self, lab: Lab, sleepers: Sequence[Sleeper]) -> Mapping[str, bytes]:
        """What it wants in the folder that Traefik watches, by name; none where it writes its routes itself."""
        ...

    def labels(self, sleeper: Sleeper, container: str) -> Mapping[str, str]:
        """The Docker labels that one of the containers has for it."""
        ...
