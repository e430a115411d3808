"""service.yaml: what an app means to the platform. What Docker needs to know stands in compose.yaml beside it.

    Manifest
    +-- what it is          id, name, version, upstream, architectures, sources, edition
    +-- how it is reached   web, auth, lazy, network, dashboard, monitoring
    +-- what it is given    inputs, secrets, credentials, volumes, files, resources, permissions
    +-- how it is kept      health, backup, update, upgrades, hooks, placement

Every field that has a sensible value for most apps has it as its default, so that a small app has a small manifest.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ez_homelab.catalog.access import Auth, Dashboard, Lazy, Monitoring, Network, Web
from ez_homelab.catalog.base import AppId, Day, Model, Text, Unknown
from ez_homelab.catalog.care import Backup, Credentials, Health, Hooks, Input, Placement, Secret, Update, Upgrade
from ez_homelab.catalog.supplies import ConfigFile, Permission, Resources, Volume  # noqa: TC001 - pydantic reads them

Architecture = Literal["amd64", "arm64", "arm", "386", "ppc64le", "riscv64", "s390x"]
Category = Literal[
    "ai", "automation", "backup", "books", "communication", "dashboard", "database", "development", "documents",
    "downloads", "files", "finance", "home", "infrastructure", "media", "monitoring", "network", "office", "photos",
    "productivity", "security", "wiki",
]  # fmt: skip


class Releases(Model):
    """Where new versions are announced."""

    type: Literal["github", "gitlab", "codeberg", "url"]
    repo: Text


class Upstream(Model):
    """The project behind the app. `license` is an SPDX expression."""

    website: Text
    source: Text
    docs: Text | None = None
    license: Text
    cpe: str | None = None
    releases: Releases | None = None


class Requires(Model):
    """Other catalog ids this app cannot do without, contracts it offers, and what only has to come first."""

    platform: str | None = None
    services: tuple[AppId, ...] = ()
    provides: tuple[AppId, ...] = ()
    after: tuple[AppId, ...] = ()


class Source(Model):
    """Where facts of this manifest come from, and on which day they were read there."""

    facts: Annotated[tuple[Text, ...], Field(min_length=1)]
    source: Text
    date: Day


class ServiceEdition(Model):
    """The package edition of one more container, in `images/<service>/`: the version that it carries."""

    image_version: Text


class Edition(Model):
    """The package edition: the version it carries where it is not the app's, and where it can be built.

    The app's main service is built from `image/`; `services` names the versions of all its others. `runtime` is the
    program of EZ-Homelab's own that runs in it: its files are in the build context too, below `runtime/<runtime>/`.
    """

    image_version: Text | None = None
    services: dict[AppId, ServiceEdition] = Field(default_factory=dict)
    runtime: AppId | None = None
    architectures: Annotated[tuple[Architecture, ...], Field(min_length=1)]
    notes: Text | None = None


class Manifest(Model):
    """One app of the catalog. `id` is its folder's name and never changes after a release."""

    schema_version: Literal[1]
    id: AppId
    name: Text
    tagline: Text
    category: Category
    tags: tuple[AppId, ...] = ()
    version: Text
    revision: Annotated[int, Field(ge=1)] = 1
    status: Literal["stable", "beta", "deprecated", "disabled"] = "stable"
    replaced_by: AppId | None = None
    maintainers: tuple[Text, ...] = ()
    upstream: Upstream
    architectures: Annotated[tuple[Architecture, ...], Field(min_length=1)] | Unknown
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    edition: Edition | None = None
    requires: Requires = Requires()
    web: Web | None = None
    auth: Auth = Auth()
    lazy: Lazy = Lazy()
    network: Network = Network()
    inputs: tuple[Input, ...] = ()
    secrets: tuple[Secret, ...] = ()
    credentials: Credentials = Credentials()
    volumes: tuple[Volume, ...] = ()
    files: tuple[ConfigFile, ...] = ()
    backup: Backup = Backup()
    health: Health = Health()
    update: Update = Update()
    upgrades: tuple[Upgrade, ...] = ()
    resources: Resources
    permissions: tuple[Permission, ...] = ()
    dashboard: Dashboard | None = None
    monitoring: Monitoring = Monitoring()
    hooks: Hooks = Hooks()
    placement: Placement = Placement()
    notes: Text | None = None
