"""Every reference page by its file name."""

from __future__ import annotations

import json

from ez_homelab.catalog.schema import app_tests_schema, service_schema
from ez_homelab.config.schema import SCHEMA_FILE, lab_reference_markdown, lab_schema
from ez_homelab.reference import NOTICE, REFERENCE
from ez_homelab.reference.apps import catalog_page
from ez_homelab.reference.commands import cli_page
from ez_homelab.reference.error_codes import errors_page
from ez_homelab.reference.findings import doctor_page
from ez_homelab.reference.json_documents import json_page
from ez_homelab.reference.lint_rules import lint_rules_page


def pages() -> dict[str, str]:
    """The text that every page should have now."""
    markdown = {
        "catalog.md": catalog_page(),
        "cli.md": cli_page(),
        "doctor.md": doctor_page(),
        "errors.md": errors_page(),
        "json.md": json_page(),
        "lab-file.md": lab_reference_markdown(),
        "lint-rules.md": lint_rules_page(),
    }
    schemas = {
        SCHEMA_FILE: lab_schema(),
        "service.schema.json": service_schema(),
        "tests.schema.json": app_tests_schema(),
    }
    return {name: f"{NOTICE}\n{text}" for name, text in markdown.items()} | {
        name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in schemas.items()
    }


def stale_pages() -> list[str]:
    """The names of the pages that are missing or say something else."""
    return [name for name, text in pages().items() if _present(name) != text]


def _present(name: str) -> str | None:
    path = REFERENCE / name
    return path.read_text(encoding="utf-8") if path.exists() else None
