"""One app in the words of whoever decides whether to add it: what it is, asks, keeps, may and is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ez_homelab.catalog.app import App
    from ez_homelab.catalog.manifest import Manifest


def describe(app: App, domain: str | None = None) -> dict[str, object]:
    """Plain data for a document; sizes in bytes. `address` is empty without a page or a known domain."""
    manifest = app.manifest
    architectures = manifest.architectures
    return {
        "id": app.id,
        "name": manifest.name,
        "tagline": manifest.tagline,
        "category": manifest.category,
        "tags": list(manifest.tags),
        "status": manifest.status,
        "replaced_by": manifest.replaced_by,
        "version": manifest.version,
        "package_version": _package_version(manifest),
        "website": manifest.upstream.website,
        "licence": manifest.upstream.license,
        "architectures": [architectures] if isinstance(architectures, str) else list(architectures),
        "subdomain": _subdomain(manifest),
        "address": f"https://{_subdomain(manifest)}.{domain}" if domain and _subdomain(manifest) else "",
        "sign_on": manifest.auth.mode if manifest.web else "none",
        "registration": manifest.auth.registration,
        "registration_note": manifest.auth.registration_note,
        "requires": list(manifest.requires.services),
        **_given(app),
        "notes": " ".join((manifest.notes or "").split()),
        "sources": [item.model_dump(mode="json") for item in manifest.sources],
        "folder": str(app.folder),
    }


def _given(app: App) -> dict[str, object]:
    manifest = app.manifest
    limits = {name: manifest.resources.services.get(name, manifest.resources) for name in app.compose.services}
    return {
        "inputs": [{"id": item.id, "label": item.label, "required": item.required} for item in manifest.inputs],
        "secrets": [item.id for item in manifest.secrets],
        "volumes": [{"name": item.name, "path": item.path, "class": item.volume_class} for item in manifest.volumes],
        "ports": [
            {"port": item.port, "protocol": item.protocol, "reason": item.reason} for item in manifest.network.publish
        ],
        "containers": [
            {"name": name, "image": service.image, "memory_reserve": limits[name].memory.reserve,
             "memory_limit": limits[name].memory.limit, "cpu_limit": limits[name].cpu.limit}
            for name, service in app.compose.services.items()
        ],
        "permissions": [item.model_dump(mode="json") for item in manifest.permissions],
    }  # fmt: skip


def _subdomain(manifest: Manifest) -> str:
    if manifest.web is None or manifest.web.exposure == "none":
        return ""
    return manifest.web.subdomain or manifest.id


def _package_version(manifest: Manifest) -> str | None:
    return (manifest.edition.image_version or manifest.version) if manifest.edition else None
