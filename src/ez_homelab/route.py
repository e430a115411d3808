"""The Route: one public name, and everything that follows from it.

Traefik labels, certificate names, networks, proof, status and Prometheus targets are derived from Routes. Nothing
else knows how an app is reached. Sign-on, on-demand and remote servers join as further fields here, not as further
sources of truth.
"""

from __future__ import annotations

from dataclasses import dataclass


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
class Route:
    """How one app is reached under one public name."""

    name: str
    title: str
    host: str
    server: str
    stack: str
    target: ContainerTarget
    expectation: Expectation

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
