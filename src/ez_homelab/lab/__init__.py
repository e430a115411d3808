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

from ez_homelab.config.load import LAB_FILE, load_lab
from ez_homelab.errors import PrerequisiteError, UsageError
from ez_homelab.lab import drift, images, on_demand, secrets
from ez_homelab.lab.written import WrittenLab
from ez_homelab.progress import Silent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from contextlib import AbstractAsyncContextManager

    from ez_homelab.apply.journal import Journal
    from ez_homelab.apply.run import Applied
    from ez_homelab.config.files import Edit
    from ez_homelab.config.model import ImageSource
    from ez_homelab.doctor import Finding, Subject
    from ez_homelab.generations.document import Recorded
    from ez_homelab.generations.index import Generation, Generations
    from ez_homelab.hosts import Host
    from ez_homelab.images.inventory import ImageRow, Prunable
    from ez_homelab.images.lock import ImageLock
    from ez_homelab.lab.on_demand import Moved
    from ez_homelab.lab.users import LabUsers
    from ez_homelab.observe import ObservedServer, Unknown
    from ez_homelab.observe.states import AppStatus
    from ez_homelab.plan import Choice, Choices, Plan
    from ez_homelab.plan.drift import Drift
    from ez_homelab.progress import Progress
    from ez_homelab.render.desired import Desired
    from ez_homelab.secrets.table import SecretRow
    from ez_homelab.secrets.value import Secret
    from ez_homelab.tls.trust import TrustChange
    from ez_homelab.verify import Proof, ProofPeople, Waking

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
class Homelab(WrittenLab):
    """One lab: its files as they are now, and what can be done with it.

    `journal_path` is where runs are written down, on the machine this runs on. `take_over` lets this lab stand in the
    place of another one that a server carries. `patience` is how many seconds another run's end is waited for,
    `choices` what becomes of files that a person edited. `recorded` is what the servers should have where that is not
    what the lab file says, because a generation comes back; `why` is written down with what comes of it.
    Reading the lab file is the first thing every method does, and it raises `LabFileError` with every mistake in it.
    """

    make_host: Callable[[str], Host] = local_host
    journal_path: str = "/var/lib/ez-homelab/journal.db"
    progress: Progress = field(default_factory=Silent)
    who: str = field(default_factory=lambda: _user(os.environ))
    command: str = "ez-homelab"
    take_over: bool = False
    patience: float = 600.0
    choices: Choices | None = None
    why: str = ""
    holds_lock: bool = False

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
        from ez_homelab.apply.cut_off import with_cut_off
        from ez_homelab.apply.journal import not_done
        from ez_homelab.observe import Unknown, look

        servers = self.desired.servers
        looks = await asyncio.gather(*(look(self.hosts[name], server) for name, server in servers.items()))
        attempts = not_done(self.journal_path)
        known = (found if isinstance(found, Unknown) else with_cut_off(found, attempts) for found in looks)
        return dict(zip(servers, known, strict=True))

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

    async def apply(self, approved: Plan, *, start_held: bool = False) -> Applied:
        """Do what `plan` returned, under the lab's lock.

        Raises `LockedError`, `PlanStaleError`, `ApplyFailedError`, `NotSettledError`.
        """
        from ez_homelab.apply.run import Apply
        from ez_homelab.lab.surroundings import LabSurroundings

        surroundings = LabSurroundings(self, start_held=start_held)
        apply = Apply(surroundings, self._journal, self.progress, self.who, self.command, str(self.folder))
        async with self.locked():
            await surroundings.prepare()
            applied = await apply.carry_out(approved)
            await self._tell_people()
            return applied

    async def _tell_people(self) -> None:
        """The gate reads a file for itself; Authelia's own list of people is changed where it keeps it."""
        if self.lab.sign_on.engine == "authelia":
            from ez_homelab.authelia_people import tell_people

            await tell_people(self.core, self.people)

    async def finish_record(self, nothing_due: Plan) -> None:
        """Write down what an earlier run has reached that was cut off before it could do so itself.

        Nothing is due any more, so the servers are as the lab file says, and no later run would come to tell of it.
        """
        with closing(self._journal()) as journal:
            latest = journal.runs(1)
        if latest and latest[0].outcome != "done" and not nothing_due.unknown:
            await self.apply(nothing_due)
        elif not nothing_due.unknown:
            await self._tell_people()

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
        from ez_homelab.lab.surroundings import LabSurroundings

        async with self.locked():
            await LabSurroundings(self).recover()

    async def verify(self, waking: Waking | None = None, people: ProofPeople | None = None) -> Proof:
        """What users rely on, looked at from outside; where it is looked at again, `people` stay from look to look.

        Apps that sleep are left asleep, but for those of `waking`.
        """
        from ez_homelab.verify import LEFT_ASLEEP, ProofPeople, verify_lab

        if people is None:
            async with ProofPeople() as own:
                return await self.verify(waking, own)
        addresses = {server.name: server.address for server in self.lab.servers}
        return await verify_lab(
            self.desired, addresses, self.hosts, await self.observe(), people, waking or LEFT_ASLEEP
        )

    async def verify_applied(self, plan: Plan, *, whole: bool = False) -> Proof:
        """The proof right after an apply: of the routes that the plan touched, or with `whole` of everything.

        Traefik takes a moment to see a container that has just become healthy, so a failure is looked at again for a
        few seconds before it counts. Apps that the plan touched are woken for it and put to sleep again.
        """
        from ez_homelab.verify import ProofPeople, Waking

        touched = {action.name for action in plan.actions if action.kind == "service"}
        apps = {service.app for server in self.desired.servers.values() for service in server.services
                if service.key in touched}  # fmt: skip
        waking = Waking(apps)
        async with ProofPeople() as people:
            for pause in SETTLE_PAUSES:
                proof = await self.verify(waking, people)
                proof = proof if whole else proof.about(apps)
                if not proof.failures:
                    break
                await asyncio.sleep(pause)
        return proof

    async def settle(self) -> None:
        """Wait for apps that are starting (after a reboot, all of them), as long as the slowest of them may take."""
        from ez_homelab.observe.states import app_statuses

        services = [service for server in self.desired.servers.values() for service in server.services]
        deadline = time.monotonic() + max((service.ready_within for service in services), default=0.0)
        while any(app.state == "starting" for app in app_statuses(self.desired, await self.observe())):
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(START_LOOK_EVERY)

    async def status(self) -> tuple[AppStatus, ...]:
        """Every app's state now, and what the waker tells of those that sleep."""
        from ez_homelab.observe.states import app_statuses

        observed, told = await asyncio.gather(self.observe(), on_demand.told(self))
        return on_demand.with_told(app_statuses(self.desired, observed), told)

    async def wake(self, names: Iterable[str]) -> tuple[Moved, ...]:
        """Wake these apps, all at the same time, each with what it sleeps with; returns when they answer.

        Raises `UsageError` for what never sleeps; `WakerError`, `HealthError` or `OnDemandError` where one did not
        wake.
        """
        return await on_demand.move(self, "wake", names)

    async def sleep(self, names: Iterable[str]) -> tuple[Moved, ...]:
        """Put these apps to sleep, all at the same time, each with what it sleeps with.

        Raises `UsageError` for what never sleeps, `AppInUseError`, `WakerError` or `OnDemandError` where one stayed
        awake.
        """
        return await on_demand.move(self, "sleep", names)

    async def doctor(self) -> tuple[Finding, ...]:
        """What is wrong or will be, worst first. Works without Docker and before the first apply."""
        from ez_homelab.doctor import examine

        return await examine(self.core, replace(self.subject, needs_build=await self._needs_build()))

    @cached_property
    def subject(self) -> Subject:
        """What the doctor has to know of this lab."""
        from ez_homelab.subject import subject_of

        return subject_of(self.lab, self.desired, self.catalog.app, self.people)

    def secrets_table(self) -> tuple[SecretRow, ...]:
        """Every secret of the lab's apps, without its value."""
        return secrets.table(self)

    def secret(self, instance: str, secret_id: str) -> Secret:
        """One value. Raises `UsageError` where there is no such secret, or none yet."""
        return secrets.value(self, instance, secret_id)

    def rotating(self, instance: str, secret_id: str | None = None) -> Homelab:
        """The lab as if one of an app's secrets, or each that can be, had a new value; nothing is written yet.

        Raises `UsageError` where a secret cannot be rotated.
        """
        return secrets.rotated(self, instance, secret_id)

    def giving(self, instance: str, secret_id: str, value: Secret) -> Homelab:
        """The lab as if a secret had the value that a person gives; nothing is written yet.

        Raises `UsageError` for a secret that nobody gives.
        """
        return secrets.given(self, instance, secret_id, value)

    async def drift(self) -> tuple[Drift, ...]:
        """Everything that is otherwise than the lab left it."""
        return await drift.find(self)

    async def drift_text(self, server: str, path: str) -> tuple[str, str]:
        """The lab's text of a file and the server's, as far as a person may see them."""
        return await drift.texts(self, server, path)

    async def decide(self, choice: Choice, paths: Iterable[str]) -> tuple[Edit, ...]:
        """Settle what becomes of edited files; for `adopt` returns edits of the lab's own files, not written yet."""
        return await drift.decide(self, choice, paths)

    async def images(self) -> tuple[ImageRow, ...]:
        """Every image of the lab, and who needs it."""
        return await images.rows(self)

    async def lock_images(self, update: Iterable[str] = ()) -> ImageLock:
        """Settle the digest of every image that has none, and the newest of the tags of the apps in `update`."""
        return await images.lock(self, update)

    async def build_images(self) -> tuple[str, ...]:
        """Build the package editions that the server lacks; returns their tags."""
        return await images.build(self)

    async def prunable_images(self) -> Prunable:
        """What no container, not the lab and no kept generation needs."""
        return await images.prunable(self)

    async def prune_images(self) -> tuple[str, ...]:
        """Remove that; returns what went, one line each."""
        return await images.prune(self)

    async def copy_images(self, target: str) -> tuple[str, ...]:
        """Copy every locked image into another registry, digests kept; returns the names there."""
        return await images.copy(self, target)

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
            raise UsageError(f"there is no app called {name} in the lab", fix=self.did_you_mean(name))
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

    @property
    def users(self) -> LabUsers:
        """What can be told and done about the people who may sign in."""
        from ez_homelab.lab.users import LabUsers

        return LabUsers(self)

    def with_users(self, text: str) -> Homelab:
        """The same lab as if users.yaml held `text`."""
        from ez_homelab.config.users import users_from_text

        other = replace(self)
        other.__dict__["people"] = users_from_text(text)
        if "lab" in self.__dict__:
            other.__dict__["lab"] = self.lab
        return other

    def create(self, domain: str, images: ImageSource, admin: str | None = None) -> tuple[Path, ...]:
        """Write a commented starter lab with its first admin (None: who runs this); returns the files.

        Raises `UsageError` where a lab is there already.
        """
        from ez_homelab.config.files import init_lab
        from ez_homelab.lab.users import admin_name

        return init_lab(self.folder, domain, images, admin_name(admin))

    def prospective(self, domain: str, images: ImageSource, admin: str | None = None) -> Homelab:
        """The lab that `create` would write here, before it is written."""
        from ez_homelab.config.starter import starter_lab

        other = self._as_if(starter_lab(domain, images)[LAB_FILE])
        return other if self.has_users else other.users.starting(admin)[1]

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

        if not self.has_secrets:
            return desired
        _ = self.store  # opened first, so that the instances have their values
        return with_values_of_now(desired, self.instances)

    def generations(self) -> Generations:
        """The list of the lab's generations; to be closed."""
        from ez_homelab.generations.index import Generations

        return Generations(self.journal_path, str(self.folder))

    def _holder(self) -> str:
        from ez_homelab.redaction import clean

        since = datetime.now(UTC).isoformat(timespec="seconds")
        return clean(f"{self.who} runs `{self.command}` since {since} (process {os.getpid()})")

    def did_you_mean(self, name: str) -> str:
        """A hint for a name that no app of the lab has."""
        from difflib import get_close_matches

        names = [instance.name for instance in self.lab.instances]
        near = get_close_matches(name, names, n=1)
        return f"did you mean {near[0]}?" if near else f"the lab has: {', '.join(names)}"


def _user(environment: Mapping[str, str]) -> str:
    return environment.get("SUDO_USER") or environment.get("USER") or f"uid {os.getuid()}"
