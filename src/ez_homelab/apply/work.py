"""What each kind of action does on a server. The plan has decided; nothing here chooses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ez_homelab.apply import containers, files, quiet
from ez_homelab.apply.copies import copy_volume
from ez_homelab.apply.networks import make_network
from ez_homelab.hosts import Command, run_checked
from ez_homelab.observe.look import AUTHORITY_CERTIFICATE
from ez_homelab.render.desired import MANAGED_LABEL, STACKS_FOLDER, STATE_FOLDER, stack_folder
from ez_homelab.tls.authority import create_authority, load_authority
from ez_homelab.tls.certificate import CertificateSpec, issue
from ez_homelab.tls.served import served_file

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ez_homelab.apply.images import ImageWork
    from ez_homelab.hosts import Host
    from ez_homelab.plan.action import Action, Kind
    from ez_homelab.render.desired import DesiredServer
    from ez_homelab.render.secrets import DueRotation

AUTHORITY_KEY = f"{STATE_FOLDER}/tls/ca.key"


@dataclass(frozen=True)
class ServerWork:
    """Everything that actions on one server need.

    `rotations` are new values of secrets by their names; `bases` is by stack the generation that runs now, whose data
    is copied.
    """

    host: Host
    server: DesiredServer
    domain: str
    images: ImageWork
    rotations: Mapping[str, DueRotation] = field(default_factory=dict)
    bases: Mapping[str, int] = field(default_factory=dict)

    def stacks_of(self, action: Action) -> set[str]:
        """The stacks of this server that the action is about: their files, containers, data, images and secrets."""
        if action.server != self.server.name:
            return set()
        services = self.server.services
        match action.kind:
            case "service" | "attachment":
                return {action.name.partition("/")[0]}
            case "file":
                return {stack_folder(action.name).removeprefix(f"{STACKS_FOLDER}/")}
            case "secret":
                return {action.settings["stack"]}
            case "on-demand" if action.verb == "hold":
                # That it could not be released afterwards is no fault of any stack's.
                groups = {group.name: group.containers for group in self.server.wake_groups}
                return {service.stack for service in services if service.name in groups.get(action.name, ())}
            case "volume":
                return {service.stack for service in services if action.name in service.volumes}
            case "image":
                return {service.stack for service in services if service.image_name == action.name}
        return set()

    async def perform(self, action: Action, say: Callable[[str], None]) -> None:
        """Do it. Raises an `EzError` that says what failed and what to do."""
        kinds: dict[Kind, Callable[[Action, Callable[[str], None]], Awaitable[None]]] = {
            "image": self.images.perform,
            "network": self._network,
            "volume": self._volume,
            "authority": self._authority,
            "certificate": self._certificate,
            "secret": self._secret,
            "file": self._file,
            "service": self._service,
            "attachment": self._attachment,
            "on-demand": self._on_demand,
        }
        await kinds[action.kind](action, say)

    async def _file(self, action: Action, _say: Callable[[str], None]) -> None:
        await files.perform(self.host, self.server, action)
        await quiet.taken_over(self.host, self.server, action.name)

    async def _on_demand(self, action: Action, _say: Callable[[str], None]) -> None:
        await quiet.perform(self.host, self.server, action)

    async def _service(self, action: Action, say: Callable[[str], None]) -> None:
        if action.verb != "remove":
            await quiet.start_needed(self.host, self.server, {action.name.partition("/")[2]}, say)
        await containers.perform(self.host, self.server, action, say)

    async def _attachment(self, action: Action, _say: Callable[[str], None]) -> None:
        await containers.attach(self.host, action)

    async def _secret(self, action: Action, say: Callable[[str], None]) -> None:
        """Tell an app a new value; by standard input, because anybody may read a program's arguments."""
        rotation = self.rotations[action.name]
        await quiet.start_with_needed(self.host, self.server, rotation.container, say)
        order = Command(
            ("docker", "exec", "--interactive", rotation.container, *rotation.command),
            stdin=f"{rotation.value.reveal()}\n".encode(),
            timeout=120,
        )
        await run_checked(
            self.host, order, what=f"{rotation.container} did not take the new value of {rotation.name}",
            cause="the app does not run, or refuses the value; the one before is still in force",
            fix=f"ez-homelab logs {rotation.app}, then ez-homelab apply",
        )  # fmt: skip

    async def _network(self, action: Action, _say: Callable[[str], None]) -> None:
        if action.verb == "create":
            subnet, internal = action.settings["subnet"], action.settings["internal"] == "yes"
            await make_network(self.host, action.name, subnet, internal=internal)
            return
        order = Command(("docker", "network", "rm", action.name))
        await run_checked(self.host, order, what=f"cannot remove the network {action.name}")

    async def _volume(self, action: Action, _say: Callable[[str], None]) -> None:
        """Make the volume, copy it, or hand its folder to the app; nothing in it is touched but routes nobody keeps."""
        if action.verb == "copy":
            stack = next(service.stack for service in self.server.services if action.name in service.volumes)
            await copy_volume(self.host, action, self.bases.get(stack, 0))
            return
        if action.verb == "clear":
            await containers.clear_routes(self.host, action.name, action.settings["nudge"])
            return
        what = f"cannot {action.verb} the volume {action.name}"
        if action.verb == "create":
            order = Command(("docker", "volume", "create", "--label", f"{MANAGED_LABEL}=true", action.name))
            await run_checked(self.host, order, what=what)
        if owner := action.settings["owner"]:
            asked = Command(("docker", "volume", "inspect", "--format", "{{.Mountpoint}}", action.name), changes=False)
            folder = (await run_checked(self.host, asked, what=what)).stdout.strip()
            await run_checked(self.host, Command(("chown", owner, "--", folder)), what=what)

    async def _authority(self, _action: Action, _say: Callable[[str], None]) -> None:
        """A new authority; what it replaces is kept beside it, because devices may still hold certificates of it."""
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
        # Each by itself: a key whose certificate was lost is still worth more than nothing.
        for path, ending, mode in ((AUTHORITY_CERTIFICATE, "crt", 0o644), (AUTHORITY_KEY, "key", 0o600)):
            if old := await self.host.read(path):
                await self.host.write(f"{STATE_FOLDER}/tls/ca-until-{stamp}.{ending}", old, mode=mode)
        authority = create_authority(self.domain, datetime.now(UTC))
        await self.host.write(AUTHORITY_KEY, authority.key_pem.reveal(), mode=0o600)
        await self.host.write(AUTHORITY_CERTIFICATE, authority.certificate_pem)

    async def _certificate(self, _action: Action, _say: Callable[[str], None]) -> None:
        wanted = self.server.certificate
        now = datetime.now(UTC)
        certificate = await self.host.read(AUTHORITY_CERTIFICATE)
        key = await self.host.read(AUTHORITY_KEY)
        authority = load_authority(certificate or b"", key or b"", domain=self.domain, now=now)
        issued = issue(authority, CertificateSpec(wanted.names), now)
        await self.host.write(wanted.path, served_file(issued), mode=0o600, uid=wanted.uid, gid=wanted.gid)
