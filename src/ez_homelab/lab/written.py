"""A lab as its folder has it: the lab file, the catalog, secrets, locked images, and what all of that renders to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ez_homelab.config.load import LAB_FILE, load_lab
from ez_homelab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ez_homelab.catalog.loader import Catalog
    from ez_homelab.config.model import Lab
    from ez_homelab.config.people import Person
    from ez_homelab.images.editions import PackageEdition
    from ez_homelab.images.lock import ImageLock, LockedImage
    from ez_homelab.render.desired import Desired
    from ez_homelab.render.instance import Instance
    from ez_homelab.render.secrets import DueRotation
    from ez_homelab.secrets.store import SecretStore
    from ez_homelab.secrets.value import Secret


@dataclass(frozen=True)
class WrittenLab:
    """What the lab's folder says; each part is read once, when it is first asked for.

    `recorded` is what the servers should have where that is not what the lab file says, because a generation comes
    back. Reading the lab file is the first thing that every part does, and it raises `LabFileError` with every mistake
    in it.
    """

    folder: Path
    recorded: Desired | None = field(default=None, kw_only=True)

    @cached_property
    def catalog(self) -> Catalog:
        """The shipped apps and the lab's own."""
        from ez_homelab.catalog.loader import Catalog

        return Catalog.shipped().with_folder(self.folder / "catalog")

    @property
    def exists(self) -> bool:
        """Whether there is a lab file."""
        return (self.folder / LAB_FILE).exists()

    @cached_property
    def lab(self) -> Lab:
        """The lab file as one checked model."""
        if not self.exists:
            raise UsageError(
                f"there is no lab in {self.folder}",
                evidence=f"{self.folder / LAB_FILE} does not exist",
                fix=f"ez-homelab init --lab {self.folder}",
            )
        return load_lab(self.folder, self.catalog.ids())

    @cached_property
    def people(self) -> Mapping[str, Person]:
        """Who may sign in, by user name; nobody where there is no users.yaml."""
        from ez_homelab.config.users import load_users

        return load_users(self.folder)

    @property
    def has_users(self) -> bool:
        """Whether there is a users.yaml."""
        from ez_homelab.config.users import USERS_FILE

        return (self.folder / USERS_FILE).exists()

    @cached_property
    def editions(self) -> Mapping[str, Mapping[str, PackageEdition]]:
        """The package editions that the lab's apps run as, by app and service; empty where images are pulled."""
        if self.lab.images.source == "registry":
            return {}
        wanted = dict.fromkeys(instance.app.id for instance in self._unfilled_instances)
        return {app: self._editions_of(app) for app in wanted}

    @property
    def editions_by_tag(self) -> Mapping[str, PackageEdition]:
        """The package editions by their tags."""
        return {edition.tag: edition for parts in self.editions.values() for edition in parts.values()}

    @cached_property
    def desired(self) -> Desired:
        """Everything every server should have."""
        if self.recorded:
            return self.recorded
        return self.rendered_from(self.folder)

    def rendered_from(self, folder: Path) -> Desired:
        """Everything every server should have, with the overrides and adopted files of that folder."""
        from ez_homelab.config.adopted_files import load_adopted_files, require_used
        from ez_homelab.config.overrides import load_overrides
        from ez_homelab.config.users import load_users, warnings_of
        from ez_homelab.lab.secrets import missing as not_given
        from ez_homelab.render import Given, render

        services = {item.name: tuple(self.catalog.app(item.app).compose.services) for item in self.lab.instances}
        tags = {app: {name: edition.tag for name, edition in parts.items()} for app, parts in self.editions.items()}
        overrides = load_overrides(folder, services.keys(), services)
        adopted = load_adopted_files(folder)
        people = self.people if folder == self.folder else load_users(folder)
        given = Given(tags, overrides, self._secret_values(), self._pin, adopted, people)
        desired = render(self.lab, self.catalog.app, given)
        require_used(adopted, _stack_paths(desired))
        missing = warnings_of(people, {route.name: route.sign_on.groups for route in desired.routes})
        warnings = (*desired.warnings, *self._other_sources(), *missing, *not_given(self))
        return replace(desired, warnings=warnings)

    @cached_property
    def store(self) -> SecretStore:
        """The lab's secrets, with a value for each that its apps need; what is new is on disk after an apply.

        Raises `SecretsError` where the store cannot be opened.
        """
        from ez_homelab.render.secrets import needs
        from ez_homelab.secrets.store import SecretStore

        return SecretStore.open(self.folder).with_needed(needs(self.instances))

    @cached_property
    def image_lock(self) -> ImageLock:
        """Which image each name means in this lab."""
        from ez_homelab.images.lock import ImageLock

        return ImageLock.load(self.folder)

    @property
    def instances(self) -> tuple[Instance, ...]:
        """Every app as it stands in the lab, without what only its rendering needs."""
        if "store" not in self.__dict__:
            return self._unfilled_instances
        values = self._secret_values()
        return tuple(replace(one, secrets=values.get(one.name, {})) for one in self._unfilled_instances)

    @cached_property
    def _unfilled_instances(self) -> tuple[Instance, ...]:
        from ez_homelab.render import NOTHING_GIVEN, make_instances

        return tuple(make_instances(self.lab, self.catalog.app, NOTHING_GIVEN))

    @property
    def rotations(self) -> Mapping[str, DueRotation]:
        """The secrets whose new value an app has yet to be told, by name."""
        from ez_homelab.render.secrets import rotations

        if not self.has_secrets:
            return {}
        pending = {name for name, entry in self.store.entries().items() if entry.pending}
        return {one.name: one for one in rotations(self.instances, pending)}

    @property
    def has_secrets(self) -> bool:
        """Whether an app of the lab is given one."""
        return any(instance.app.manifest.secrets for instance in self._unfilled_instances)

    def settle_images(self, found: Mapping[str, LockedImage]) -> None:
        """Settle which images these names mean, and render anew with that."""
        lock = self.image_lock
        for name, image in found.items():
            lock = lock.with_image(name, image)
        if lock is not self.image_lock:
            self.__dict__["image_lock"] = lock
            self.__dict__.pop("desired", None)

    def save_secrets(self) -> None:
        """Write what is new in the store."""
        if self.has_secrets:
            self.store.save()

    def settle_secrets(self) -> None:
        """Every new value is in force."""
        if self.has_secrets:
            self.__dict__["store"] = self.store.settled()
            self.store.save()

    def save_lock(self) -> None:
        """Write images.lock, where something in it is new; what the lab no longer names goes out of it.

        A generation that comes back brings its own, with the lab's other files or not at all.
        """
        from ez_homelab.images.lock import ImageLock

        if self.recorded:
            return
        names = {image.reference for server in self.desired.servers.values() for image in server.images}
        lock = self.image_lock.only(names)
        for instance in self.lab.instances:
            lock = lock.with_source(instance.name, self.lab.images.source)
        if lock != ImageLock.load(self.folder):
            lock.save(self.folder)

    def own_files(self) -> dict[str, bytes]:
        """The lab's own files that say what it is, by their path in its folder; no secret is among them."""
        from ez_homelab.config.lab_files import lab_files

        return lab_files(self.folder)

    def _editions_of(self, app_id: str) -> Mapping[str, PackageEdition]:
        from ez_homelab.images.editions import load_editions

        app = self.catalog.app(app_id)
        if app.manifest.edition is None:
            raise UsageError(
                f"the app {app_id} has no package edition, and the lab takes its images from packages",
                cause="homelab.yaml says `images: {source: packages}`",
                fix=f"remove {app_id} from homelab.yaml, or take images from a registry",
            )
        return load_editions(app)

    def _other_sources(self) -> Iterator[str]:
        """Apps whose images came from elsewhere when the lock file was written."""
        source = self.lab.images.source
        for instance in self.lab.instances:
            before = self.image_lock.sources.get(instance.name, source)
            if before != source:
                yield (
                    f"{instance.name} is locked to images from {before}; homelab.yaml takes them from {source}, and the"
                    " other version may not read its data"
                )

    def _secret_values(self) -> dict[str, dict[str, Secret]]:
        values: dict[str, dict[str, Secret]] = {}
        for (instance, name), entry in self.store.entries().items() if self.has_secrets else ():
            values.setdefault(instance, {})[name] = entry.value
        return values

    def _pin(self, reference: str) -> str:
        from ez_homelab.images.reference import is_edition, mirrored

        pinned = self.image_lock.pinned(reference)
        return pinned if pinned == reference or is_edition(reference) else mirrored(pinned, self.lab.images.mirror)


def _stack_paths(desired: Desired) -> set[tuple[str, str]]:
    """Every file of every stack: the stack's name, and the path below its folder."""
    from ez_homelab.render.desired import STACKS_FOLDER

    paths = (file.path for server in desired.servers.values() for file in server.files)
    below = (path.removeprefix(f"{STACKS_FOLDER}/").partition("/") for path in paths)
    return {(stack, rest) for stack, _, rest in below}
