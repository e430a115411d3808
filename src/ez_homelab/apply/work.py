"""What each kind of action does on a server. The plan has decided; nothing here chooses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ez_homelab.apply import containers, files
from ez_homelab.hosts import Command, run_checked
from ez_homelab.images.build import build_base, build_edition
from ez_homelab.images.editions import BASE_TAG
from ez_homelab.images.registry import pull
from ez_homelab.observe.look import AUTHORITY_CERTIFICATE
from ez_homelab.render.desired import MANAGED_LABEL, STATE_FOLDER
from ez_homelab.tls.authority import create_authority, load_authority
from ez_homelab.tls.certificate import CertificateSpec, issue
from ez_homelab.tls.served import served_file

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from ez_homelab.hosts import Host
    from ez_homelab.images.editions import PackageEdition
    from ez_homelab.plan.action import Action, Kind
    from ez_homelab.render.desired import DesiredServer

AUTHORITY_KEY = f"{STATE_FOLDER}/tls/ca.key"


@dataclass(frozen=True)
class ServerWork:
    """Everything that actions on one server need."""

    host: Host
    server: DesiredServer
    domain: str
    editions: Mapping[str, PackageEdition]

    async def perform(self, action: Action, say: Callable[[str], None]) -> None:
        """Do it. Raises an `EzError` that says what failed and what to do."""
        kinds: dict[Kind, Callable[[Action, Callable[[str], None]], Awaitable[None]]] = {
            "image": self._image,
            "network": self._network,
            "volume": self._volume,
            "authority": self._authority,
            "certificate": self._certificate,
            "file": self._file,
            "service": self._service,
            "attachment": self._attachment,
        }
        await kinds[action.kind](action, say)

    async def _file(self, action: Action, _say: Callable[[str], None]) -> None:
        await files.perform(self.host, self.server, action)

    async def _service(self, action: Action, say: Callable[[str], None]) -> None:
        await containers.perform(self.host, self.server, action, say)

    async def _attachment(self, action: Action, _say: Callable[[str], None]) -> None:
        await containers.attach(self.host, action)

    async def _image(self, action: Action, say: Callable[[str], None]) -> None:
        if action.verb == "pull":
            await pull(self.host, action.name, say)
        elif action.name == BASE_TAG:
            await build_base(self.host, say)
        else:
            await build_edition(self.host, self.editions[action.name], say)

    async def _network(self, action: Action, _say: Callable[[str], None]) -> None:
        options: tuple[str, ...] = ("rm",)
        if action.verb == "create":
            internal = ("--internal",) if action.settings["internal"] == "yes" else ()
            labels = ("--label", f"{MANAGED_LABEL}=true")
            options = ("create", "--driver", "bridge", "--subnet", action.settings["subnet"], *internal, *labels)
        order = Command(("docker", "network", *options, action.name))
        await run_checked(self.host, order, what=f"cannot {action.verb} the network {action.name}")

    async def _volume(self, action: Action, _say: Callable[[str], None]) -> None:
        """Make the volume, or only hand its folder to the app; what lies in the folder is never touched."""
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
