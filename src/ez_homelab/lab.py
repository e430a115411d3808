"""The one door: what every face (command line, web, MCP) calls. Nothing else does the work."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager, closing, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ez_homelab import lab_drift, lab_images
from ez_homelab.config.load import LAB_FILE, load_lab
from ez_homelab.errors import PrerequisiteError, UsageError
from ez_homelab.progress import Silent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from ez_homelab.apply.journal import Journal
    from ez_homelab.apply.run import Applied
    from ez_homelab.catalog.loader import Catalog
    from ez_homelab.config.files import Edit
    from ez_homelab.config.model import ImageSource, Lab
    from ez_homelab.doctor import Finding, Subject
    from ez_homelab.generations.document import Recorded
    from ez_homelab.generations.index import Generation, Generations
    from ez_homelab.hosts import Host
    from ez_homelab.images.editions import PackageEdition
    from ez_homelab.images.inventory import ImageRow, Prunable
    from ez_homelab.images.lock import ImageLock, LockedImage
    from ez_homelab.observe import ObservedServer, Unknown
    from ez_homelab.observe.states import AppStatus
    from ez_homelab.plan import Choice, Choices, Plan
    from ez_homelab.plan.drift import Drift
    from ez_homelab.progress import Progress
    from ez_homelab.render.desired import Desired
    from ez_homelab.render.instance import Instance
    from ez_homelab.render.secrets import DueRotation
    from ez_homelab.secrets.store import SecretStore
    from ez_homelab.secrets.table import SecretRow
    from ez_homelab.secrets.value import Secret
    from ez_homelab.tls.trust import TrustChange
    from ez_homelab.verify import Proof

DEFAULT_FOLDER = Path("/opt/homelab")
LOCK = "/var/lib/ez-homelab/lock"
SETTLE_PAUSES = (0.3, 0.7, 1.5, 3.0, 0.0)
"""Seconds between two looks at a proof that does not hold yet."""
START_LOOK_EVERY = 1.0
"""Seconds between two looks at what is starting."""


def find_lab_folder(wanted: Path | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """The lab's folder: the one wanted, else $EZ_LAB, else the nearest above with a homelab.yaml, else /opt/homelab."""
    if wanted:
        return wanted.absolute()
    if named := environment.get("EZ_LAB"):
        return Path(named).absolute()
    here = Path.cwd()
    above = (folder for folder in (here, *here.parents) if (folder / LAB_FILE).is_file())
    return next(above, DEFAULT_FOLDER)


def local_host(name: str) -> Host:
    """The machine this program runs on, as a server."""
    from ez_homelab.hosts.local import LocalHost

    return LocalHost(name)


@dataclass(frozen=True)
class Homelab:
    """One lab: its files as they are now, and what can be done with it.

    `journal_path` is where runs are written down, on the machine this runs on. `take_over` lets this lab stand in the
    place of another one that a server carries. `patience` is how many seconds another run's end is waited for,
    `choices` what becomes of files that a person edited. `recorded` is what the servers should have where that is not
    what the lab file says, because a generation comes back; `why` is written down with what comes of it.
    Reading the lab file is the first thing every method does, and it raises `LabFileError` with every mistake in it.
    """

    folder: Path
    make_host: Callable[[str], Host] = local_host
    journal_path: str = "/var/lib/ez-homelab/journal.db"
    progress: Progress = field(default_factory=Silent)
    who: str = field(default_factory=lambda: _user(os.environ))
    command: str = "ez-homelab"
    take_over: bool = False
    patience: float = 600.0
    choices: Choices | None = None
    recorded: Desired | None = None
    why: str = ""
    holds_lock: bool = False

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
    def editions(self) -> Mapping[str, Mapping[str, PackageEdition]]:
        """The package editions that the lab's apps run as, by app and service; empty where images are pulled."""
        from ez_homelab.config.rules import OWN_STACKS

        if self.lab.images.source == "registry":
            return {}
        wanted = dict.fromkeys([*OWN_STACKS, *(instance.app for instance in self.lab.instances)])
        return {app: self._editions_of(app) for app in wanted}

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
        from ez_homelab.render import Given, render

        services = {item.name: tuple(self.catalog.app(item.app).compose.services) for item in self.lab.instances}
        tags = {app: {name: edition.tag for name, edition in parts.items()} for app, parts in self.editions.items()}
        overrides = load_overrides(folder, services.keys(), services)
        adopted = load_adopted_files(folder)
        desired = render(self.lab, self.catalog.app, Given(tags, overrides, self._secret_values(), self._pin, adopted))
        require_used(adopted, _stack_paths(desired))
        return replace(desired, warnings=(*desired.warnings, *self._other_sources()))

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

    @cached_property
    def hosts(self) -> Mapping[str, Host]:
        """The lab's servers."""
        return {server.name: self.make_host(server.name) for server in self.lab.servers}

    @property
    def core(self) -> Host:
        """The server that holds the lab's lock and record."""
        return self.hosts[self.lab.core.name]

    async def observe(self) -> dict[str, ObservedServer | Unknown]:
        """One look at every server, all at the same time."""
        from ez_homelab.observe import look

        servers = self.desired.servers
        looks = await asyncio.gather(*(look(self.hosts[name], server) for name, server in servers.items()))
        return dict(zip(servers, looks, strict=True))

    async def plan(self, *, start_held: bool = False) -> Plan:
        """What an apply would do now."""
        plan, _ = await self.look_and_plan(start_held=start_held)
        return plan

    async def look_and_plan(self, *, start_held: bool = False) -> tuple[Plan, Mapping[str, ObservedServer | Unknown]]:
        """What an apply would do now, and the look that the plan is made from."""
        from ez_homelab.plan import OVERWRITE, make_plan

        observed = await self.observe()
        self._require_our_servers(observed)
        self._lock_what_is_known(observed)
        choices = self.choices or OVERWRITE
        plan = make_plan(
            self.desired, observed, start_held=start_held, choices=choices, rotations=[*self.rotations.values()]
        )
        return plan, observed

    @property
    def rotations(self) -> Mapping[str, DueRotation]:
        """The secrets whose new value an app has yet to be told, by name."""
        from ez_homelab.render.secrets import rotations

        if not self._has_secrets:
            return {}
        pending = {name for name, entry in self.store.entries().items() if entry.pending}
        return {one.name: one for one in rotations(self.instances, pending)}

    def settle_images(self, found: Mapping[str, LockedImage]) -> None:
        """Settle which images these names mean, and render anew with that."""
        lock = self.image_lock
        for name, image in found.items():
            lock = lock.with_image(name, image)
        if lock is not self.image_lock:
            self.__dict__["image_lock"] = lock
            self.__dict__.pop("desired", None)

    async def apply(self, approved: Plan, *, start_held: bool = False) -> Applied:
        """Do what `plan` returned, under the lab's lock.

        Raises `LockedError`, `PlanStaleError`, `ApplyFailedError`, `NotSettledError`.
        """
        from ez_homelab.apply.run import Apply
        from ez_homelab.surroundings import LabSurroundings

        surroundings = LabSurroundings(self, start_held=start_held)
        apply = Apply(surroundings, self._journal, self.progress, self.who, self.command, str(self.folder))
        async with self.locked():
            await surroundings.prepare()
            return await apply.carry_out(approved)

    @asynccontextmanager
    async def changing(self, *, unasked: bool) -> AsyncIterator[Homelab]:
        """This lab as one that is about to be changed: what an earlier run has left that was cut off is finished first.

        Where nobody is asked (`unasked`), the lock is held from the first look at the lab's files to the end, so that
        of many runs at once each sees what the one before has made. A person is not waited for with the lock held.
        """
        if unasked and not self.holds_lock:
            async with self.locked():
                held = replace(self, holds_lock=True)
                await held.recover()
                yield held
        else:
            await self.recover()
            yield self

    async def recover(self) -> None:
        """Finish what a run has left that was cut off; to be called before a plan that is to be applied.

        Raises `WentBackError` where that was taking a stack back to its version before.
        """
        from ez_homelab.surroundings import LabSurroundings

        async with self.locked():
            await LabSurroundings(self).recover()

    async def verify(self) -> Proof:
        """What users rely on, looked at from outside."""
        from ez_homelab.verify import verify_lab

        addresses = {server.name: server.address for server in self.lab.servers}
        return await verify_lab(self.desired, addresses, self.hosts, await self.observe())

    async def verify_applied(self, plan: Plan | None = None) -> Proof:
        """The proof right after an apply: of the routes that the plan touched, or without a plan of everything.

        Traefik takes a moment to see a container that has just become healthy, so a failure is looked at again for a
        few seconds before it counts.
        """
        touched = {action.name for action in plan.actions if action.kind == "service"} if plan else None
        apps = {service.app for server in self.desired.servers.values() for service in server.services
                if touched is None or service.key in touched}  # fmt: skip
        for pause in SETTLE_PAUSES:
            proof = await self.verify()
            proof = proof if plan is None else proof.about(apps)
            if not proof.failures:
                break
            await asyncio.sleep(pause)
        return proof

    async def settle(self) -> None:
        """Wait for apps that are starting (after a reboot, all of them), as long as the slowest of them may take."""
        services = [service for server in self.desired.servers.values() for service in server.services]
        deadline = time.monotonic() + max((service.ready_within for service in services), default=0.0)
        while any(app.state == "starting" for app in await self.status()):
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(START_LOOK_EVERY)

    async def status(self) -> tuple[AppStatus, ...]:
        """Every app's state now."""
        from ez_homelab.observe.states import app_statuses

        return app_statuses(self.desired, await self.observe())

    async def doctor(self) -> tuple[Finding, ...]:
        """What is wrong or will be, worst first. Works without Docker and before the first apply."""
        from ez_homelab.doctor import examine

        return await examine(self.core, replace(self.subject, needs_build=await self._needs_build()))

    @cached_property
    def subject(self) -> Subject:
        """What the doctor has to know of this lab."""
        from ez_homelab.subject import subject_of

        return subject_of(self.lab, self.desired, self.catalog.app)

    def secrets_table(self) -> tuple[SecretRow, ...]:
        """Every secret of the lab's apps, without its value."""
        from ez_homelab.render.secrets import readers
        from ez_homelab.secrets.table import SecretRow

        if not self._has_secrets:
            return ()
        by_name = {instance.name: instance for instance in self.instances}
        return tuple(
            SecretRow(name, secret, entry.made, entry.rotated, entry.pending, readers(by_name[name], secret))
            for (name, secret), entry in self.store.entries().items()
            if name in by_name
        )

    def secret(self, instance: str, secret_id: str) -> Secret:
        """One value. Raises `UsageError` where there is no such secret, or none yet."""
        self._secret_ids(instance, secret_id)
        from ez_homelab.secrets.store import SecretStore

        value = SecretStore.open(self.folder).get(instance, secret_id)
        if value is None:
            raise UsageError(f"the secret {secret_id} of {instance} has not been made yet", fix="ez-homelab apply")
        return value

    def rotating(self, instance: str, secret_id: str | None = None) -> Homelab:
        """The lab as if one of an app's secrets, or each that can be, had a new value; nothing is written yet.

        Raises `UsageError` where a secret cannot be rotated.
        """
        from ez_homelab.render.secrets import needs

        wanted = self._rotatable(instance, self._secret_ids(instance, secret_id))
        by_name = {(need.instance, need.id): need for need in needs(self.instances)}
        store = self.store
        for name in wanted:
            store = store.rotated(instance, name, by_name[instance, name])
        other = replace(self, why=f"new secrets for {instance}: {', '.join(wanted)}")
        other.__dict__["store"] = store
        return other

    def _rotatable(self, instance: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
        app = next(item.app for item in self.lab.instances if item.name == instance)
        rotations = {secret.id: secret.rotate for secret in self.catalog.app(app).manifest.secrets}
        can = tuple(name for name in wanted if rotations[name].how != "never")
        if not can:
            raise UsageError(
                f"the secret {', '.join(wanted)} of {instance} cannot be rotated",
                cause=" ".join(rotations[name].reason or "" for name in wanted),
                fix="ez-homelab secrets list",
            )
        return can

    def _secret_ids(self, instance: str, secret_id: str | None) -> tuple[str, ...]:
        app = next((item.app for item in self.lab.instances if item.name == instance), None)
        if app is None:
            raise UsageError(f"there is no app called {instance} in the lab", fix=self._did_you_mean(instance))
        secrets = {secret.id: secret for secret in self.catalog.app(app).manifest.secrets}
        if not secrets or (secret_id and secret_id not in secrets):
            known = f"it has: {', '.join(secrets)}" if secrets else "it has none"
            raise UsageError(f"{instance} has no secret called {secret_id or 'anything'}", fix=known)
        return (secret_id,) if secret_id else tuple(secrets)

    async def drift(self) -> tuple[Drift, ...]:
        """Everything that is otherwise than the lab left it."""
        return await lab_drift.find(self)

    async def drift_text(self, server: str, path: str) -> tuple[str, str]:
        """The lab's text of a file and the server's, as far as a person may see them."""
        return await lab_drift.texts(self, server, path)

    async def decide(self, choice: Choice, paths: Iterable[str]) -> tuple[Edit, ...]:
        """Settle what becomes of edited files; for `adopt` returns edits of the lab's own files, not written yet."""
        return await lab_drift.decide(self, choice, paths)

    async def images(self) -> tuple[ImageRow, ...]:
        """Every image of the lab, and who needs it."""
        return await lab_images.rows(self)

    async def lock_images(self, update: Iterable[str] = ()) -> ImageLock:
        """Settle the digest of every image that has none, and the newest of the tags of the apps in `update`."""
        return await lab_images.lock(self, update)

    async def build_images(self) -> tuple[str, ...]:
        """Build the package editions that the server lacks; returns their tags."""
        return await lab_images.build(self)

    async def prunable_images(self) -> Prunable:
        """What no container, not the lab and no kept generation needs."""
        return await lab_images.prunable(self)

    async def prune_images(self) -> tuple[str, ...]:
        """Remove that; returns what went, one line each."""
        return await lab_images.prune(self)

    async def copy_images(self, target: str) -> tuple[str, ...]:
        """Copy every locked image into another registry, digests kept; returns the names there."""
        return await lab_images.copy(self, target)

    async def down(self) -> tuple[str, ...]:
        """Stop and remove every container of the lab and keep all data; returns the stacks that were taken down."""
        from ez_homelab.apply.down import take_down

        server = self.desired.servers[self.core.name]
        async with self.locked():
            await self._require_our_core()
            return await take_down(self.core, server, self.progress)

    async def purgeable(self) -> tuple[str, ...]:
        """What `purge` would remove for good, one line each."""
        from ez_homelab.apply.purge import find_purgeable

        server = self.desired.servers[self.core.name]
        await self._require_our_core()
        return (await find_purgeable(self.core, server)).lines()

    async def purge(self) -> tuple[str, ...]:
        """Remove every trace of the lab from the server, data included; the lab folder stays. Returns what went."""
        from ez_homelab.apply.down import take_down
        from ez_homelab.apply.purge import find_purgeable

        server = self.desired.servers[self.core.name]
        async with self.locked():
            await self._require_our_core()
            await take_down(self.core, server, self.progress)
            found = await find_purgeable(self.core, server)
            await found.remove(self.core, self.progress)
        return found.lines()

    async def logs(self, name: str, on_line: Callable[[str], None], *, tail: int = 100, follow: bool = False) -> None:
        """Hand over the last lines of an app's log, and with `follow` the coming ones until cancelled."""
        from ez_homelab.observe.logs import read_logs

        containers = [service.name for service in self.desired.servers[self.core.name].services if service.app == name]
        if not containers:
            raise UsageError(f"there is no app called {name} in the lab", fix=self._did_you_mean(name))
        await read_logs(self.core, containers, on_line, tail=tail, follow=follow)

    async def authority_pem(self) -> str:
        """The certificate of the lab's own authority. Raises `UsageError` where there is none yet."""
        from ez_homelab.observe.look import AUTHORITY_CERTIFICATE
        from ez_homelab.tls.trust import trust_print

        content = await self.core.read(AUTHORITY_CERTIFICATE)
        if content is None:
            raise UsageError("this lab has no certificate authority yet", fix="ez-homelab apply")
        return trust_print(content)

    async def trust(self) -> AsyncIterator[TrustChange]:
        """Put the lab's authority where the system and Chromium (if there is one) look for those they trust.

        Yields what was done to each store, as it is done; raises where one could not be changed.
        """
        from ez_homelab.tls.trust import browser_homes, has_chromium, trust_in_chromium, trust_in_system

        pem = (await self.authority_pem()).encode()
        yield await trust_in_system(self.core, pem, self.lab.domain)
        homes = await browser_homes(self.core, os.environ) if await has_chromium(self.core) else ()
        for home in homes:
            yield await trust_in_chromium(self.core, pem, self.lab.domain, home)

    def adding(self, app_id: str, *, stack: str | None = None, name: str | None = None) -> tuple[Edit, Homelab]:
        """The edit that puts an app into the lab file, not written yet, and the lab as it would be.

        Raises `CatalogError` or `UsageError`.
        """
        from ez_homelab.config.edit import add_app

        app = self.catalog.app(app_id)
        return self._edit(add_app(self._text(), app_id, stack or app.manifest.category, name))

    def removing(self, name: str) -> tuple[Edit, Homelab]:
        """The edit that takes an app out of the lab file, not written yet, and the lab as it would be."""
        from ez_homelab.config.edit import remove_app

        return self._edit(remove_app(self._text(), name))

    def create(self, domain: str, images: ImageSource) -> tuple[Path, ...]:
        """Write a commented starter lab; returns the files. Raises `UsageError` where a lab is there already."""
        from ez_homelab.config.files import init_lab

        return init_lab(self.folder, domain, images)

    def prospective(self, domain: str, images: ImageSource) -> Homelab:
        """The lab that `create` would write here, before it is written."""
        from ez_homelab.config.starter import starter_lab

        return self._as_if(starter_lab(domain, images)[LAB_FILE])

    def _as_if(self, text: str) -> Homelab:
        """The same lab as if its file held `text`."""
        other = replace(self)
        # cached_property keeps its value in the instance's dictionary; this one is known before it is asked for.
        other.__dict__["lab"] = load_lab(self.folder, self.catalog.ids(), text=text)
        return other

    def _text(self) -> str:
        # The lab is read first: a file that has mistakes is told with their positions, and is not edited.
        from ez_homelab.config.files import read_text

        return read_text(self.folder / LAB_FILE) if self.lab else ""

    def _edit(self, text: str) -> tuple[Edit, Homelab]:
        from ez_homelab.config.files import Edit

        return Edit(self.folder / LAB_FILE, self._text(), text), self._as_if(text)

    async def _needs_build(self) -> bool:
        """Whether package editions are still to be built, which takes room that a finished lab does not need."""
        from ez_homelab.errors import CommandError
        from ez_homelab.images.build import present

        tags = self.editions_by_tag.keys()
        try:
            return await present(self.core, tags) != tags
        except CommandError:
            return bool(tags)  # no engine to ask yet

    @property
    def instances(self) -> tuple[Instance, ...]:
        """Every app as it stands in the lab, without what only its rendering needs."""
        from ez_homelab.render import NOTHING_GIVEN, make_instances

        given = replace(NOTHING_GIVEN, secrets=self._secret_values()) if "store" in self.__dict__ else NOTHING_GIVEN
        return tuple(make_instances(self.lab, self.catalog.app, given))

    @property
    def _has_secrets(self) -> bool:
        return any(self.catalog.app(instance.app).manifest.secrets for instance in self.lab.instances)

    def _secret_values(self) -> dict[str, dict[str, Secret]]:
        values: dict[str, dict[str, Secret]] = {}
        for (instance, name), entry in self.store.entries().items() if self._has_secrets else ():
            values.setdefault(instance, {})[name] = entry.value
        return values

    def _pin(self, reference: str) -> str:
        from ez_homelab.images.reference import is_edition, mirrored

        pinned = self.image_lock.pinned(reference)
        return pinned if pinned == reference or is_edition(reference) else mirrored(pinned, self.lab.images.mirror)

    def _lock_what_is_known(self, observed: Mapping[str, ObservedServer | Unknown]) -> None:
        """Images whose digest the servers know, although the lock file does not: it was removed, or never written."""
        from ez_homelab.images.known import known_images
        from ez_homelab.observe import Unknown

        if self.recorded:
            return
        for found in observed.values():
            if not isinstance(found, Unknown):
                images = self.desired.servers[found.name].images
                open_ones = [(one.reference, one.app, one.source) for one in images if one.pinned == one.reference]
                self.settle_images(known_images(open_ones, found.images, self.lab.images.mirror))

    def _require_our_servers(self, observed: Mapping[str, ObservedServer | Unknown]) -> None:
        from ez_homelab.observe import Unknown

        for found in observed.values():
            if not isinstance(found, Unknown):
                self._require_ours(found.name, found.applied.lab)

    async def _require_our_core(self) -> None:
        """Before anything is taken away, with as little as possible that has to work for it."""
        from ez_homelab.observe.look import APPLIED_RECORD
        from ez_homelab.observe.record import parse_applied

        self._require_ours(self.core.name, parse_applied(await self.core.read(APPLIED_RECORD)).lab)

    def _require_ours(self, server: str, lab: str) -> None:
        """Another lab's apps would look like apps that no longer belong here, and be removed."""
        if lab not in ("", str(self.folder)) and not self.take_over:
            raise PrerequisiteError(
                f"the server {server} carries another lab: the one in {lab}",
                evidence=f"this lab is in {self.folder}",
                cause="--lab or $EZ_LAB names another folder than before, or the lab's folder was moved",
                fix=f"use --lab {lab}; or let this one take its place: ez-homelab apply --take-over",
            )

    @property
    def editions_by_tag(self) -> Mapping[str, PackageEdition]:
        """The package editions by their tags."""
        return {edition.tag: edition for parts in self.editions.values() for edition in parts.values()}

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

    def _journal(self) -> Journal:
        from ez_homelab.apply.journal import Journal

        return Journal(self.journal_path)

    def locked(self) -> AbstractAsyncContextManager[object]:
        """Hold the lab's lock, waiting for another run as long as `patience` says; nothing where it is held already.

        Raises `LockedError` that says who holds it since when.
        """
        from ez_homelab.apply.lock import waiting_lock

        if self.holds_lock:
            return nullcontext()
        return waiting_lock(self.core, LOCK, self._holder, patience=self.patience, progress=self.progress)

    def history(self, limit: int | None = None) -> tuple[Generation, ...]:
        """The generations that are kept, newest first."""
        with closing(self.generations()) as index:
            return index.all(limit)

    async def generation(self, number: int) -> Recorded:
        """The lab as that generation kept it. Raises `UsageError` where there is no such generation."""
        from ez_homelab.generations.keep import load

        with closing(self.generations()) as index:
            return await load(index, number, self.hosts)

    async def rolling_back(self, number: int) -> tuple[tuple[Edit, ...], Homelab]:
        """The edits of the lab's own files that bring a generation back, not written yet, and the lab as it was."""
        from ez_homelab.config.lab_files import load_kept, restoring

        recorded = await self.generation(number)
        edits = restoring(self.folder, recorded.lab_files)
        before = replace(self)
        before.__dict__["lab"] = load_kept(recorded.lab_files, self.catalog.ids())
        return edits, before.with_recorded(recorded, f"rollback to {number}")

    def with_recorded(self, recorded: Recorded, why: str) -> Homelab:
        """The same lab, whose servers should have what a generation had."""
        from ez_homelab.images.lock import FILE, parse_lock

        other = replace(self, recorded=self._with_secrets_of_now(recorded.desired), why=why)
        other.__dict__["lab"] = self.lab
        if lock := recorded.lab_files.get(FILE):
            other.__dict__["image_lock"] = parse_lock(lock.decode())
        return other

    def _with_secrets_of_now(self, desired: Desired) -> Desired:
        from ez_homelab.render.secrets import with_values_of_now

        if not self._has_secrets:
            return desired
        _ = self.store  # opened first, so that the instances have their values
        return with_values_of_now(desired, self.instances)

    def generations(self) -> Generations:
        """The list of the lab's generations; to be closed."""
        from ez_homelab.generations.index import Generations

        return Generations(self.journal_path, str(self.folder))

    def save_secrets(self) -> None:
        """Write what is new in the store."""
        if self._has_secrets:
            self.store.save()

    def settle_secrets(self) -> None:
        """Every new value is in force."""
        if self._has_secrets:
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

    def _holder(self) -> str:
        from ez_homelab.redaction import clean

        since = datetime.now(UTC).isoformat(timespec="seconds")
        return clean(f"{self.who} runs `{self.command}` since {since} (process {os.getpid()})")

    def _did_you_mean(self, name: str) -> str:
        from difflib import get_close_matches

        names = [instance.name for instance in self.lab.instances]
        near = get_close_matches(name, names, n=1)
        return f"did you mean {near[0]}?" if near else f"the lab has: {', '.join(names)}"


def _stack_paths(desired: Desired) -> set[tuple[str, str]]:
    """Every file of every stack: the stack's name, and the path below its folder."""
    from ez_homelab.render.desired import STACKS_FOLDER

    paths = (file.path for server in desired.servers.values() for file in server.files)
    below = (path.removeprefix(f"{STACKS_FOLDER}/").partition("/") for path in paths)
    return {(stack, rest) for stack, _, rest in below}


def _user(environment: Mapping[str, str]) -> str:
    return environment.get("SUDO_USER") or environment.get("USER") or f"uid {os.getuid()}"
