"""A catalog that a test fills with small apps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ez_homelab.catalog.loader import Catalog, load_app
from ez_homelab.config.model import AppInstance, Stack
from ez_homelab.testing.make_lab import desired_of, make_lab

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.render.desired import Desired

SERVICE = """\
schema_version: 1
id: {id}
name: Sample
tagline: A sample
category: wiki
version: "1"
upstream: {{website: "https://sample.example/", source: "https://sample.example/s", license: MIT}}
architectures: [amd64]
sources: [{{facts: [version, architectures, web.port], source: sample.example, date: 2026-01-01}}]
web: {{service: {service}, port: 80{web}}}
health: {{interval: 20s}}
resources: {{memory: {{reserve: 64M, limit: 256M}}, cpu: {{limit: 1}}}}
{more}
"""
PLAIN = """\
    image: sample:1
    user: "1:1"
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    healthcheck: {test: ["CMD", "true"]}
"""


class Folder:
    """A catalog folder that a test fills."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def app(
        self,
        name: str,
        *,
        service: str = "app",
        more: str = "",
        web: str = "",
        extra: str = "",
        others: tuple[str, ...] = (),
        volumes: tuple[str, ...] = (),
        files: dict[str, bytes] | None = None,
    ) -> None:
        folder = self.path / name
        (folder / "files").mkdir(parents=True)
        (folder / "service.yaml").write_text(SERVICE.format(id=name, service=service, more=more, web=web))
        services = "".join(f"  {one}:\n{PLAIN}{extra if one == service else ''}" for one in (service, *others))
        named = "volumes:\n" + "".join(f"  {volume}:\n" for volume in volumes) if volumes else ""
        (folder / "compose.yaml").write_text(f"services:\n{services}{named}")
        (folder / "tests.yaml").write_text("anonymous: [{path: /, expect_status: [302, 401]}]\n")
        for file, content in (files or {}).items():
            (folder / "files" / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / "files" / file).write_bytes(content)
        load_app(folder)

    def desired(self, *apps: AppInstance, overrides: dict[str, Any] | None = None, **lab: Any) -> Desired:
        made = make_lab(stacks=[Stack("stack", apps=apps)])
        return desired_of(replace(made, **lab), catalog=Catalog.shipped().with_folder(self.path), overrides=overrides)
