"""An app of the catalog as it stands in this lab: which stack, which container names, which image."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ez_homelab.config.rules import CORE_APPS, ON_DEMAND_APPS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.catalog.app import App
    from ez_homelab.config.model import AppInstance
    from ez_homelab.render.desired import ImageSource
    from ez_homelab.secrets.value import Secret


@dataclass(frozen=True)
class Instance:
    """One app in one stack on one server.

    `editions` holds, by service, the references of its package editions; it is empty where the images named in its
    compose.yaml are pulled. `override` is the lab's own Compose fragment for it, `secrets` its values by id.
    """

    server: str
    stack: str
    settings: AppInstance
    app: App
    editions: Mapping[str, str] = field(default_factory=dict)
    override: Mapping[str, object] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Unique in the lab."""
        return self.settings.name

    @cached_property
    def main_service(self) -> str:
        """See `App.main_service`."""
        return self.app.main_service

    def container(self, service: str) -> str:
        """The container's name: the instance's own for its main service, with the service's behind it for others."""
        return self.name if service == self.main_service else f"{self.name}-{service}"

    @property
    def private_network(self) -> str | None:
        """The network on which an app of several containers talks to itself; None for an app of one.

        An app that is on no other network has one too, or Compose would make one that nobody planned. What wakes apps
        has none: see `core.extras`.
        """
        if any(self.app.id in apps for apps in ON_DEMAND_APPS.values()):
            return None
        manifest = self.app.manifest
        alone = not manifest.web and not manifest.network.join and self.app.id not in CORE_APPS
        return f"private-{self.name}" if alone or len(self.app.compose.services) > 1 else None

    @property
    def config_folder(self) -> str:
        """Where its configuration files lie, below the stack's folder."""
        return f"config/{self.name}"

    def volume(self, name: str) -> str:
        """A volume's name for Docker and in compose.yaml: the instance's own, so that it survives a move of stacks."""
        return f"{self.name}-{name}"

    def image_of(self, service: str) -> str:
        """The image the service runs, as the catalog or the edition calls it."""
        return self.editions.get(service) or self.app.compose.services[service].image

    def source_of(self, service: str) -> ImageSource:
        """Where that image comes from."""
        return "packages" if service in self.editions else "registry"

    def variable(self, name: str) -> str:
        """What a secret's variable is called in the `.env` that all apps of the stack share."""
        return f"{self.name}_{name}".replace("-", "_").upper()
