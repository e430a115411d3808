"""A route that Traefik does not follow is pointed out to it until it does."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ez_homelab.runtime.waker import traefik as module
from ez_homelab.runtime.waker.routes import RouteFiles
from ez_homelab.runtime.waker.settings import Address, Container, LazyApp, LazyRoute
from ez_homelab.runtime.waker.traefik import Traefik

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

APP = LazyApp("wiki", "Wiki", (LazyRoute("wiki", "Host(`w`)", Address("wiki", 80)),), (Container("wiki"),))


class MissedTheFirst(Traefik):
    """A Traefik that was just starting, or looking away, at the first touches."""

    def __init__(self, nudge: Callable[[], None], missed: int) -> None:
        super().__init__("http://127.0.0.1:9", "http://127.0.0.1:9095", nudge)
        self.left = missed

    async def leads(self, app: LazyApp, *, direct: bool) -> bool:  # noqa: ARG002
        return self.left <= 0


async def test_a_touch_that_traefik_missed_is_repeated_while_it_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NUDGE_AGAIN", 0.0)
    touches: list[None] = []

    def nudge() -> None:
        touches.append(None)
        traefik.left -= 1

    traefik = MissedTheFirst(nudge, 3)
    assert await traefik.confirm(APP, direct=True)
    assert len(touches) == 3


async def test_one_that_follows_is_not_touched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NUDGE_AGAIN", 0.0)
    touches: list[None] = []
    assert await MissedTheFirst(lambda: touches.append(None), 0).confirm(APP, direct=True)
    assert not touches


async def test_a_touch_that_cannot_be_made_is_no_confirmation_and_no_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "NUDGE_AGAIN", 0.0)

    def nudge() -> None:
        traefik.left -= 1
        raise OSError("it is gone")

    traefik = MissedTheFirst(nudge, 2)
    assert await traefik.confirm(APP, direct=True)
    assert "cannot be made to read the routes again: it is gone" in caplog.text


def test_a_route_that_cannot_be_taken_away_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (tmp_path / "nudge").open("w") as mounted, caplog.at_level(logging.WARNING):
        files = RouteFiles(tmp_path, "http://127.0.0.1:9095", Path(f"/proc/self/fd/{mounted.fileno()}"))
        files.write(APP, direct=True)
        files.remove("wiki")
        assert not caplog.messages
        files.write(APP, direct=True)
        (tmp_path / "nudge").unlink()
        files.remove("wiki")
    assert "the route of wiki cannot be taken away" in caplog.text
    assert "was replaced" in caplog.text
