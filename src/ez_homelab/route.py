"""The Route: one public name, and everything that follows from it.

Traefik labels, certificate names, networks, who may pass sign-on, proof, status and Prometheus targets are derived from
Routes. Nothing else knows how an app is reached. Remote servers join as further fields here, not as further sources of
truth.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Policy = Literal["bypass", "one_factor", "two_factor", "deny"]
"""Who is let through: everybody, whoever signed in, whoever showed a second factor too, nobody. Authelia's words."""

Access = Literal["public", "lan"]
"""From where a route answers: from everywhere that reaches the server, or from the lab's own networks alone."""

Clients = Literal["hold", "503"]
"""What a program gets that asks for an app which sleeps: it is held until the app answers, or told to come again."""

# What a path may hold so that Traefik, the engine and the app read it alike: RFC 3986's characters of a path without
# percent-encoding and without `;`, which some servers cut a path at.
_BYPASS_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()+,=:@-]+)+/?")


@dataclass(frozen=True, slots=True)
class ContainerTarget:
    """A port of a container that Traefik reaches over the route's edge network, by the container's name."""

    container: str
    port: int
    scheme: str = "http"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the app itself answers when it is well: the path asked for and the statuses that count as well."""

    path: str = "/"
    statuses: tuple[int, ...] = (200,)


@dataclass(frozen=True, slots=True)
class BypassPath:
    """A path that is answered without sign-on, and why. With `/` at its end it stands for everything below it."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class SignOn:
    """Who may pass: closed unless something says otherwise. No `groups` means whoever may sign in.

    `bypass` holds the paths that are open all the same; there are none where the whole route is open or denied.
    """

    policy: Policy = "one_factor"
    groups: tuple[str, ...] = ()
    bypass: tuple[BypassPath, ...] = ()
    access: Access = "public"


@dataclass(frozen=True, slots=True)
class Lazy:
    """How the app sleeps while nobody uses it, and wakes for whoever comes. Times in seconds.

    What has the same `group` sleeps and wakes together; an app that sleeps alone is a group by its own name. `idle` is
    how long nobody has to use it, `timeout` how long a start may take. In the hours of `awake` it is kept awake.
    """

    group: str
    idle: float
    timeout: float
    awake: tuple[str, ...] = ()
    clients: Clients = "hold"


@dataclass(frozen=True, slots=True)
class Route:
    """How one app is reached under one public name, and by whom. `lazy` None: the app never sleeps."""

    name: str
    title: str
    host: str
    server: str
    stack: str
    target: ContainerTarget
    expectation: Expectation
    sign_on: SignOn = SignOn()
    lazy: Lazy | None = None

    @property
    def edge_network(self) -> str:
        """The network that only this app and Traefik share."""
        return f"edge-{self.name}"

    @property
    def rule(self) -> str:
        """The route's Traefik rule."""
        return f"Host(`{self.host}`)"

    @property
    def address(self) -> str:
        """What a person opens."""
        return f"https://{self.host}/"


def bypass_path_complaint(path: str) -> tuple[str, str] | None:
    """What is wrong with a path as one that needs no sign-on, and what to write instead; None where it will do.

    Everything that two programs could read differently is refused, because what is meant to stay closed would be open
    in one of the readings.
    """
    if path == "/":
        return "`/` would open the whole app", "say `policy: bypass` if that is meant"
    if "*" in path:
        suggestion = f"write `{path[:-1]}`" if path.endswith("/*") and path.count("*") == 1 else ""
        return "a bypass path has no wildcard: `/` at its end stands for everything below it", suggestion
    if len(path) > 200 or not _BYPASS_PATH.fullmatch(path):
        allowed = "`/` first, no empty part, letters, digits and `._~!$&'()+,=:@-`, at most 200 characters"
        return f"a bypass path is one that every program reads alike: {allowed}", ""
    if {".", ".."} & {*path.split("/")}:
        return "a bypass path has no `.` and no `..` as a part", "write where it leads to"
    return None
