"""One app of the catalog as everything behind the loader sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ez_homelab.catalog.app_tests import AppTests
    from ez_homelab.catalog.compose_fragment import ComposeFragment
    from ez_homelab.catalog.manifest import Manifest


@dataclass(frozen=True)
class App:
    """A checked app.

    `compose` has every health check's times filled in from the manifest. `files` maps names below the app's `files/`
    folder (with `/` between the parts) to their content. `image_folder` is None where the app has no package edition.
    """

    id: str
    manifest: Manifest
    compose: ComposeFragment
    tests: AppTests
    files: Mapping[str, bytes]
    image_folder: Path | None
    folder: Path
