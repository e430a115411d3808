"""Templates and the files that they name."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import segno
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .words import browser

HERE = Path(__file__).parent
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file that is the same for everybody. `version` changes when its content does."""

    content: bytes
    kind: str
    version: str


class Pages:
    """Renders pages; keeps the static files in memory, so that no request reaches the disk."""

    def __init__(self) -> None:
        self.files = {path.name: _static_file(path) for path in sorted((HERE / "static").iterdir())}
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["browser"] = browser
        self._templates.globals["static"] = self.address

    def address(self, name: str) -> str:
        """Return where a static file is fetched; a new address for a new content."""
        return f"/static/{name}?v={self.files[name].version}"

    def render(self, template: str, context: dict[str, Any]) -> str:
        """Return the page as HTML."""
        return self._templates.get_template(template).render(context)


def qr_code(text: str) -> Markup:
    """Return a QR code as an SVG element, without size: the page's style gives it one."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=2, dark="#000", light=None
    )
    return Markup(out.getvalue().decode())  # noqa: S704 - segno's own drawing; the text is only in its squares


def in_groups(secret: str) -> str:
    """Return a TOTP secret in groups of four, as people type it."""
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))


def _static_file(path: Path) -> StaticFile:
    content = path.read_bytes()
    return StaticFile(content, KINDS[path.suffix], hashlib.sha256(content).hexdigest()[:16])
