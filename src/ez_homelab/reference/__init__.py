"""The reference pages below docs/reference, made from the program itself so that they cannot drift from it."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
"""The sources this runs from."""

REFERENCE = CHECKOUT / "docs" / "reference"

NOTICE = "<!-- Made by `python -m ez_homelab.reference`. Do not edit. -->"
"""The first line of every page that is Markdown."""
