"""What a rule is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ez_homelab.catalog.app import App

Severity = Literal["error", "warning"]

SERVICE, COMPOSE, TESTS = "service.yaml", "compose.yaml", "tests.yaml"


class Breach(NamedTuple):
    """One place where a rule is broken.

    `file` is relative to the app's folder. `at` is a path in it where it is one of the app's YAML files, else a line
    (from 1).
    """

    file: str
    at: tuple[str | int, ...] | int
    message: str
    suggestion: str = ""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One demand. `code` is stable and kebab-case; the three sentences are for the reference."""

    code: str
    severity: Severity
    demands: str
    why: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class AppRule(Rule):
    """Needs nothing but what the loader has read. One of severity `error` keeps the app from loading."""

    find: Callable[[App], Iterator[Breach]]


@dataclass(frozen=True, kw_only=True)
class EditionRule(Rule):
    """Reads the app's package editions as well; run by the linter alone."""

    find: Callable[[App], Iterator[Breach]]


@dataclass(frozen=True, kw_only=True)
class CatalogRule(Rule):
    """Compares the app with all others of its catalog (by id, the app itself included); run by the linter alone."""

    find: Callable[[App, Mapping[str, App]], Iterator[Breach]]
