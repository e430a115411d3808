"""Authelia (https://www.authelia.com, 4.39.20 or later) as an engine of sign-on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.config.rules import SIGN_ON_APPS
from ez_homelab.sso.authelia.configuration import configuration
from ez_homelab.sso.authelia.people import FILE, merge_users
from ez_homelab.sso.engine import forward_auth_to

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ez_homelab.config.model import Lab, SignOnEngine
    from ez_homelab.config.people import Person
    from ez_homelab.route import Route
    from ez_homelab.sso.engine import Client, Files, Source

FORWARD_AUTH = "http://authelia:9091/api/authz/forward-auth"

_CONFIGURATION = ("authelia", "config/")
_FIRST_PEOPLE = ("authelia", "people/")


class Authelia:
    """Authelia as an `Engine`."""

    name: SignOnEngine = "authelia"
    apps: tuple[str, ...] = SIGN_ON_APPS["authelia"]
    writes: frozenset[Source] = frozenset({_CONFIGURATION, _FIRST_PEOPLE})

    @property
    def entrypoint(self) -> dict[str, object]:
        """See `Engine`.

        Authelia decodes a path before it looks for a bypass: `/private/..%2fhealth` would be `/health`, which is open,
        and an app that does not decode it would answer for what lies below `/private/`.
        """
        return {"encodedCharacters": {"allowEncodedSlash": False}}

    def forward_auth(self) -> dict[str, object]:
        """See `Engine`. Authelia gives no `Cookie` back, so apps see its cookie beside their own."""
        return forward_auth_to(FORWARD_AUTH)

    def files(
        self, lab: Lab, routes: Sequence[Route], people: Mapping[str, Person], clients: Sequence[Client] = ()
    ) -> Files:
        """See `Engine`. The people are those of the first start; later on users.yml is merged (`merge_users`)."""
        return {
            _CONFIGURATION: {"configuration.yml": configuration(lab, routes, clients)},
            _FIRST_PEOPLE: {FILE: merge_users(None, people, {})},
        }
