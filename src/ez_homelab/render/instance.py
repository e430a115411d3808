"""An app of the catalog as it stands in this lab: which stack, which container names, which image."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.catalog.app import App
    from ez_homelab.config.model import AppInstance
    from ez_homelab.render.desired import ImageSource


@dataclass(frozen=True)
class Instance:
    """One app in one stack on one server.

    `image` is the reference of the app's package edition, None where the images named in its compose.yaml are pulled.
    `override` is the lab's own Compose fragment for it.
    """

    server: str
    stack: str
    settings: AppInstance
    app: App
    image: str | None
    override: Mapping[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Unique in the lab."""
        return self.settings.name

    @cached_property
    def main_service(self) -> str:
        """The service of the app's compose.yaml that stands for the app: what answers browsers, else metrics."""
        manifest = self.app.manifest
        if manifest.web:
            return manifest.web.service
        metrics = manifest.monitoring.metrics
        return metrics.service if metrics and metrics.service else next(iter(self.app.compose.services))

    def container(self, service: str) -> str:
        """The container's name: the instance's own for its main service, with the service's behind it for others."""
        return self.name if service == self.main_service else f"{self.name}-{service}"

    @property
    def private_network(self) -> str | None:
        """The network on which an app of several containers talks to itself; None for an app of one."""
        return f"private-{self.name}" if len(self.app.compose.services) > 1 else None

    @property
    def config_folder(self) -> str:
        """Where its configuration files lie, below the stack's folder."""
        return f"config/{self.name}"

    def volume(self, name: str) -> str:
        """A volume's name for Docker and in compose.yaml: the instance's own, so that it survives a move of stacks."""
        return f"{self.name}-{name}"

    def image_of(self, service: str) -> str:
        """The image the service runs."""
        if self.image and service == self.main_service:
            return self.image
        return self.app.compose.services[service].image

    def source_of(self, service: str) -> ImageSource:
        """Where that image comes from."""
        return "packages" if self.image and service == self.main_service else "registry"
