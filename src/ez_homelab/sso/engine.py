"""What every engine of sign-on is to the rest of the program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ez_homelab.config.model import Lab, SignOnEngine
    from ez_homelab.config.people import Person
    from ez_homelab.route import Route
    from ez_homelab.secrets.value import Secret

    Source = tuple[str, str]
    Files = Mapping[Source, Mapping[str, bytes]]

PORTAL = "auth"
"""The sub-domain at which people sign in, whichever engine asks them."""

IDENTITY_HEADERS = ("Remote-User", "Remote-Groups", "Remote-Email", "Remote-Name")
"""By which an engine tells an app who signed in. Nobody else may say it."""

MAX_ANSWER = 65536
"""Bytes of an answer's body that Traefik takes from an engine: theirs have none, a line, or a line of HTML."""

OIDC_SECRET = "oidc_client_secret"  # noqa: S105 - a name
"""What the secret of an app is called that it shows as a client of OpenID Connect."""


@dataclass(frozen=True, slots=True)
class Client:
    """An app that asks by OpenID Connect who somebody is; `redirect_uris` are where people may be sent back to.

    `{host}` in them stands for the app's public name.
    """

    route: Route
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...]
    secret: Secret


def forward_auth_to(address: str, *more_headers: str) -> dict[str, object]:
    """The middleware that asks an engine at the address; `more_headers` are taken from its answer besides who it is."""
    return {
        "forwardAuth": {
            "address": address,
            "trustForwardHeader": False,
            "maxResponseBodySize": MAX_ANSWER,
            "authResponseHeaders": [*IDENTITY_HEADERS, *more_headers],
        }
    }


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

    def files(
        self, lab: Lab, routes: Sequence[Route], people: Mapping[str, Person], clients: Sequence[Client] = ()
    ) -> Files:
        """What it reads, by app and source and then by the name below the mounted file or folder.

        An engine that is no provider of OpenID Connect leaves `clients` alone: their routes are behind it like others.
        """
        ...
