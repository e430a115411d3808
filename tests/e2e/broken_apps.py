"""Versions of MediaWiki that a lab is better without: for proving that it goes back by itself.

never-healthy      starts and never answers
alters-database    changes the tables first, in a way that the version before cannot read
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from real_lab import LAB, SOURCES

if TYPE_CHECKING:
    from real_lab import RealLab

VARIANTS = ("never-healthy", "alters-database")
VERSIONS = {"never-healthy": "1.39.98", "alters-database": "1.39.99"}
"""What their package editions call themselves, so that their tags differ from the sound one's and each other's."""

_APP = SOURCES / "src/ez_homelab/catalog/apps/mediawiki"
_OVERLAYS = Path(__file__).parent / "catalog-broken"


def give_broken_mediawiki(lab: RealLab, variant: str) -> None:
    """Lay the variant into the lab as its own catalog's `mediawiki`; the next `apply` takes it for an update.

    Removing `LAB/catalog/mediawiki` brings the sound version back.
    """
    with tempfile.TemporaryDirectory() as folder:
        app = Path(folder) / "mediawiki"
        shutil.copytree(_APP, app)
        shutil.copytree(_OVERLAYS / variant, app, dirs_exist_ok=True)
        _change(app / "service.yaml", "image_version: 1.39.17", f"image_version: {VERSIONS[variant]}")
        _change(app / "image/Dockerfile", 'image.version="1.39.17"', f'image.version="{VERSIONS[variant]}"')
        # The sound figures give a large wiki minutes for its update; nobody waits for this one.
        _change(app / "service.yaml", "start_period: 180s", "start_period: 5s")
        _change(app / "service.yaml", "interval: 15s", "interval: 2s\n  timeout: 1s\n  retries: 1")
        lab.server.run(["rm", "-rf", f"{LAB}/catalog/mediawiki"])
        lab.server.push(app, f"{LAB}/catalog/mediawiki")


def _change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path.name} no longer says {old!r}"
    path.write_text(text.replace(old, new))
