"""What the waker tells of its apps: as a document for the tool, as text for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .states import State

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        """The same for Prometheus (text format 0.0.4)."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        keepers = sorted(self._apps.keepers.items())
        yield "# HELP waker_app_state Whether the app is in this state."
        yield "# TYPE waker_app_state gauge"
        for name, keeper in keepers:
            for state in State:
                yield f'waker_app_state{{app="{name}",state="{state.value}"}} {int(keeper.life.state is state)}'
        yield "# HELP waker_wakes_total How often it woke, for a visitor, by its hours or by an order."
        yield "# TYPE waker_wakes_total counter"
        for name, _ in keepers:
            yield f'waker_wakes_total{{app="{name}"}} {self._statistics.of(name).count}'
        yield "# HELP waker_wake_seconds Time to wake, of the last hundred."
        yield "# TYPE waker_wake_seconds gauge"
        for name, _ in keepers:
            wakes = self._statistics.of(name)
            for quantile, seconds in (("0.5", wakes.p50), ("0.95", wakes.p95)):
                if seconds is not None:
                    yield f'waker_wake_seconds{{app="{name}",quantile="{quantile}"}} {seconds}'
        yield "# HELP waker_failed_starts Failed starts in a row."
        yield "# TYPE waker_failed_starts gauge"
        for name, keeper in keepers:
            yield f'waker_failed_starts{{app="{name}"}} {keeper.life.failures}'
        yield "# HELP waker_memory_saved_bytes What the sleeping apps would take."
        yield "# TYPE waker_memory_saved_bytes gauge"
        yield f"waker_memory_saved_bytes {self.memory_saved()}"
