"""The linter: what an app's files must agree on, what an edition must hold to, what must be unique in a catalog.

A rule is one module in rules/ with a `RULE`; being there is all that makes it count. The loader refuses an app that
breaks an `AppRule` of severity `error`. `linter.lint` runs them all and tells warnings too.
"""

from ez_homelab.catalog.lint.found import all_rules, broken_rules, find_breaches
from ez_homelab.catalog.lint.rule import AppRule, Breach, CatalogRule, EditionRule, Rule, Severity

__all__ = [
    "AppRule", "Breach", "CatalogRule", "EditionRule", "Rule", "Severity", "all_rules", "broken_rules", "find_breaches",
]  # fmt: skip
