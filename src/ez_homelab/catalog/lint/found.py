"""The rules that there are, found by listing their package, and run."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.rule import AppRule, CatalogRule, EditionRule, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ez_homelab.catalog.app import App
    from ez_homelab.catalog.lint.rule import Breach


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, by code."""
    package = import_module("ez_homelab.catalog.lint.rules")
    names = [module.name for module in iter_modules(package.__path__)]
    rules: list[Rule] = [import_module(f"{package.__name__}.{name}").RULE for name in names]
    return tuple(sorted(rules, key=lambda rule: rule.code))


def broken_rules(app: App) -> list[Breach]:
    """The breaches that keep an app from loading."""
    binding = [rule for rule in all_rules() if isinstance(rule, AppRule) and rule.severity == "error"]
    return [breach for rule in binding for breach in rule.find(app)]


def find_breaches(app: App, apps: Mapping[str, App]) -> Iterator[tuple[Rule, Breach]]:
    """Every breach of every rule; `apps` are all apps of the catalog by id."""
    for rule in all_rules():
        if isinstance(rule, AppRule | EditionRule):
            yield from ((rule, breach) for breach in rule.find(app))
        elif isinstance(rule, CatalogRule):
            yield from ((rule, breach) for breach in rule.find(app, apps))
