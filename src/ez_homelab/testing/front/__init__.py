"""A front: Traefik as the product configures it, a sign-on engine and an app, as processes on 127.0.0.1.

It needs neither root nor Docker and starts within a few seconds. With it a catalog proves that its app is behind
sign-on, and the project that its gate holds.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Self

from ez_homelab.testing.front.browser import Browser
from ez_homelab.testing.front.client import Answer, Client, Seen, leads_to, plain_ask, request_bytes
from ez_homelab.testing.front.programs import Program, free_port, listens
from ez_homelab.testing.front.traefik import Traefik

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ez_homelab.testing.front.engine import Document, Engine

__all__ = [
    "Answer",
    "Browser",
    "Client",
    "Front",
    "Seen",
    "free_port",
    "leads_to",
    "listens",
    "plain_ask",
    "request_bytes",
]


class Front:
    """A running front. `client` goes through sign-on, `around` to the same app without it."""

    def __init__(
        self,
        folder: Path,
        engine: Engine,
        policy: Document,
        people: Document,
        passwords: Mapping[str, str] | None = None,
        app: str = "",
    ) -> None:
        """Start it in that folder, for `policy` and `people` (the gate's two documents). Raises `CommandError`.

        `app` is the URL of the app behind it where that is not to be the echo app, which counts what reaches it.
        """
        self.folder = folder
        self.engine = engine
        self.domain: str = policy["domain"]
        self.portal_host: str = policy["portal"]
        self._app_port = free_port()
        echo = [sys.executable, "-m", "ez_homelab.testing.front.echo", str(self._app_port)]
        self._app = Program("the app", echo, folder / "app.log")
        try:
            engine.start(folder, policy, people, passwords or {})
            addresses = {
                "app": app or f"http://127.0.0.1:{self._app_port}",
                "portal": engine.portal,
                "forward-auth": engine.forward_auth,
            }
            self._app.wait_until(lambda: listens(self._app_port))
            self.traefik = Traefik(folder / "traefik", engine.name, self.domain, self.portal_host, addresses)
        except BaseException:
            engine.stop()
            self._app.stop()
            raise
        self.client = Client(self.traefik.ports.websecure, self.traefik.trust)
        self.around = Client(self.traefik.ports.plain, self.traefik.trust)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End all of it."""
        self.traefik.stop()
        self.engine.stop()
        self._app.stop()

    def browser(self, address: str = "127.0.0.1") -> Browser:
        """A browser at that loopback address, without cookies."""
        return Browser(self.client.ask, self.portal_host, address)

    def asked(self) -> int:
        """How many requests reached the app so far."""
        return int(json.loads(plain_ask(self._app_port, "GET", "/.asked").body)["asked"])
