"""Every finding in apps of a catalog, with file, line, code and what to write instead."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ez_homelab.catalog.lint.found import find_breaches
from ez_homelab.catalog.loader import read_app
from ez_homelab.errors import CatalogError, Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ez_homelab.catalog.app import App
    from ez_homelab.catalog.lint.rule import Severity
    from ez_homelab.catalog.loader import Catalog, Reading

FORMAT = "format"
"""The code of everything that the files' form forbids: unknown keys, wrong types, a digest, `ports:`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with an app; `app` is its folder's name."""

    app: str
    code: str
    severity: Severity
    fault: Fault

    def __str__(self) -> str:
        place = f"{self.fault.file}:{self.fault.line}:{self.fault.column}" if self.fault.line else self.fault.file
        suggestion = f" ({self.fault.suggestion})" if self.fault.suggestion else ""
        return f"{place}: {self.severity} [{self.code}] {self.fault.message}{suggestion}"

    def to_dict(self) -> dict[str, object]:
        """The finding as `--json` prints it."""
        return {"app": self.app, "code": self.code, "severity": self.severity} | asdict(self.fault)


def lint(catalog: Catalog, folders: Iterable[Path]) -> list[Finding]:
    """What is wrong with the apps in the folders, in reading order; each is compared with all apps of the catalog."""
    readings = [read_app(folder) for folder in folders]
    apps = {app.id: app for app in _loadable(catalog)} | {item.app.id: item.app for item in readings if item.app}
    found = {finding for reading in readings for finding in _findings(reading, apps)}
    return sorted(found, key=lambda item: (item.fault.file, item.fault.line, item.fault.column, item.code, str(item)))


def _loadable(catalog: Catalog) -> Iterator[App]:
    for app_id in catalog.ids():
        try:
            yield catalog.app(app_id)
        except CatalogError:
            # Told where that app itself is looked at; here it is one that nothing can be compared with.
            continue


def _findings(reading: Reading, apps: dict[str, App]) -> Iterator[Finding]:
    name = reading.folder.name
    yield from (Finding(name, FORMAT, "error", fault) for fault in reading.faults)
    if reading.app:
        for rule, breach in find_breaches(reading.app, apps):
            yield Finding(name, rule.code, rule.severity, reading.fault(breach))
