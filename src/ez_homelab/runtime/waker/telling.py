"""What the waker tells of its apps: as a document for the tool, as text for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import metrics
from .states import State

if TYPE_CHECKING:
    from .apps import Apps
    from .keeper import Keeper
    from .statistics import Statistics


class Telling:
    """Tells of the apps."""

    def __init__(self, apps: Apps, statistics: Statistics) -> None:
        self._apps = apps
        self._statistics = statistics

    def status(self) -> dict[str, Any]:
        """Every app, times in seconds, memory in bytes; `memory_saved` goes by what lazy.json says that each takes."""
        return {
            "apps": {name: self._app(keeper) for name, keeper in sorted(self._apps.keepers.items())},
            "memory_saved": self.memory_saved(),
        }

    def memory_saved(self) -> int:
        """Bytes that the apps which sleep would take."""
        return sum(keeper.app.memory for keeper in self._apps.keepers.values() if keeper.life.state is State.ASLEEP)

    def _app(self, keeper: Keeper) -> dict[str, Any]:
        life, wakes = keeper.life, self._statistics.of(keeper.app.name)
        leads = {True: "app", False: "waker", None: "unknown"}[keeper.direct]
        return {
            "title": keeper.app.title,
            "state": life.state.value,
            "since": round(keeper.now - life.since, 1),
            "unused": round(keeper.now - life.used, 1) if life.state is State.AWAKE else None,
            "leads_to": leads,
            "trouble": keeper.trouble,
            "reason": life.reason if life.state is State.FAILED else "",
            "retry_in": round(max(0.0, life.retry_at - keeper.now), 1) if life.state is State.FAILED else None,
            "held": round(max(0.0, life.held_until - keeper.now), 1) if keeper.held else None,
            "failures": life.failures,
            "in_flight": keeper.in_flight,
            "scheduled": self._apps.scheduled(keeper.app),
            "wakes": {"count": wakes.count, "p50": wakes.p50, "p95": wakes.p95},
            "memory": keeper.app.memory,
        }

    def metrics(self) -> str:
        """The same for Prometheus."""
        return metrics.text(self._apps, self._statistics, self.memory_saved())
