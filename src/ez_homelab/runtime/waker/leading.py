"""Where one app's names lead, to the app itself or to the waker, and whether Traefik has confirmed it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .settings import LazyApp
    from .tools import Tools

log = logging.getLogger("waker.leading")

LEAD_AGAIN = 30.0
"""Seconds after which what Traefik has not confirmed is tried again."""


class Leading:
    """Leads the names of one app."""

    def __init__(self, app: Callable[[], LazyApp], tools: Tools) -> None:
        """`app`: as lazy.json has it now."""
        self.direct: bool | None = None
        """Whether Traefik leads to the app itself, as it has confirmed; None where that is not known."""
        self.trouble = ""
        """What keeps the route from being as it should be."""
        self._app = app
        self._routes, self._traefik, self._clock = tools.routes, tools.traefik, tools.clock
        self._led_at = 0.0

    def is_amiss(self, *, direct: bool) -> bool:
        """Whether its names have to be led anew."""
        return self._routes.leads(self._app()) is not direct or self.direct is None

    async def again(self, *, direct: bool) -> None:
        """Lead its names anew, but not so soon after Traefik has not confirmed it."""
        if self.direct is None and self._clock() - self._led_at < LEAD_AGAIN and self._led_at:
            return
        await self.lead(direct=direct)

    async def lead(self, *, direct: bool, told: str = "") -> bool:
        """Lead its names to the app or to the waker; whether Traefik does so now. `told`: trouble that stays."""
        app = self._app()
        self._led_at, self.direct, self.trouble = self._clock(), None, told
        try:
            self._write(app, direct=direct)
        except OSError as fault:
            self.trouble = f"the route file cannot be written: {fault}"
        else:
            if await self._traefik.confirm(app, direct=direct):
                self.direct = direct
                return True
            answers = await self._traefik.answers()
            self.trouble = f"Traefik does not {'confirm the route' if answers else 'answer: it is stopped, or unwell'}"
        log.warning("%s: %s", app.name, self.trouble)
        return False

    def _write(self, app: LazyApp, *, direct: bool) -> None:
        if self._routes.leads(app) is not direct:
            self._routes.write(app, direct=direct)
        else:
            # Traefik may have missed the touch before.
            self._routes.nudge()
