"""How long work tells what it is doing. Work reports named steps; a face decides how they look."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


class Progress(Protocol):
    """Where named steps are reported. Steps may overlap."""

    def step(self, name: str) -> AbstractContextManager[Callable[[str], None]]:
        """A step that lasts as long as the context; the value takes its lines of detail. An exception fails it."""
        ...


class Silent:
    """Reports nothing: for tests and for `--json`."""

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:  # noqa: ARG002
        """See `Progress`."""
        yield lambda _line: None
