"""What every engine of sign-on is to the rest of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ez_homelab.config.model import Lab, SignOnEngine
    from ez_homelab.config.people import Person
    from ez_homelab.route import Route

    Source = tuple[str, str]
    Files = Mapping[Source, Mapping[str, bytes]]

PORTAL = "auth"
"""The sub-domain at which people sign in, whichever engine asks them."""

IDENTITY_HEADERS = ("Remote-User", "Remote-Groups", "Remote-Email", "Remote-Name")
"""By which an engine tells an app who signed in. Nobody else may say it."""


class Engine(Protocol):
    """A program that is asked about every request before an app sees it.

    `apps` are the apps of the catalog that it consists of; they are in the core stack of labs that use it, and the
    first one's page is the portal. `writes` names what `files` writes, as (app, source in its service.yaml).
    """

    @property
    def name(self) -> SignOnEngine:
        """What homelab.yaml calls it."""
        ...

    @property
    def apps(self) -> tuple[str, ...]:
        """The apps it consists of, the portal's first."""
        ...

    @property
    def writes(self) -> frozenset[Source]:
        """The rendered files and folders of these apps."""
        ...

    @property
    def entrypoint(self) -> dict[str, object]:
        """What core's entrypoint does besides asking it, so that it and apps read every path alike.

        Keys as of Traefik 3.7, `entryPoints.websecure.http`.
        """
        ...

    def forward_auth(self) -> dict[str, object]:
        """The middleware by which Traefik asks it (https://doc.traefik.io/traefik/v3.7/, `http.middlewares`)."""
        ...

    def files(self, lab: Lab, routes: Sequence[Route], people: Mapping[str, Person]) -> Files:
        """What it reads, by app and source and then by the name below the mounted file or folder."""
        ...
