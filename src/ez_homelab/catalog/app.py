"""One app of the catalog as everything behind the loader sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.catalog.app_tests import AppTests
    from ez_homelab.catalog.compose_fragment import ComposeFragment
    from ez_homelab.catalog.manifest import Manifest

RUNTIME = Path(__file__).parents[1] / "runtime"
"""Where the programs lie that run inside containers, a folder for each."""


@dataclass(frozen=True)
class App:
    """A checked app.

    `compose` has every health check's times filled in from the manifest. `files` maps names below the app's `files/`
    folder (with `/` between the parts) to their content. `image_folders` holds, by service, the folders of its package
    edition; it is empty where the app has none, and has no entry for a service that runs the main one's image.
    """

    id: str
    manifest: Manifest
    compose: ComposeFragment
    tests: AppTests
    files: Mapping[str, bytes]
    image_folders: Mapping[str, Path]
    folder: Path

    @property
    def main_service(self) -> str:
        """The service of compose.yaml that stands for the app: what answers browsers, else metrics, else the first."""
        return main_service(self.manifest, self.compose)

    @property
    def own_images(self) -> tuple[str, ...]:
        """The services that have an image of their own: the main one, and each other one of another image."""
        return own_images(self.manifest, self.compose)

    def services_of(self, service: str) -> tuple[str, ...]:
        """The services that run the image which `service` has of its own."""
        if service != self.main_service:
            return (service,)
        return tuple(name for name in self.compose.services if name == service or name not in self.own_images)

    @property
    def runtime_folder(self) -> Path | None:
        """The program of EZ-Homelab's own that runs in the app's main service, None where there is none."""
        edition = self.manifest.edition
        return RUNTIME / edition.runtime if edition and edition.runtime else None


def main_service(manifest: Manifest, compose: ComposeFragment) -> str:
    """See `App.main_service`."""
    if manifest.web:
        return manifest.web.service
    metrics = manifest.monitoring.metrics
    return metrics.service if metrics and metrics.service else next(iter(compose.services))


def own_images(manifest: Manifest, compose: ComposeFragment) -> tuple[str, ...]:
    """See `App.own_images`."""
    main = main_service(manifest, compose)
    image = compose.services[main].image if main in compose.services else ""
    return tuple(name for name, service in compose.services.items() if name == main or service.image != image)
