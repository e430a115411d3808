"""Package editions: an app's image built from packages. Pure: what an edition is made of and what it is called."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ez_homelab.catalog.build_context import context_paths
from ez_homelab.errors import CatalogError, Fault
from ez_homelab.images.recipe import BASE_TAG, RECIPE_HASH

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ez_homelab.catalog.app import App

__all__ = ["BASE_TAG", "PackageEdition", "context_tar", "load_edition", "load_editions"]

_APP_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}")


@dataclass(frozen=True)
class PackageEdition:
    """One app's edition: the build context in `files` (by relative path) and the tag its image gets."""

    app_id: str
    version: str
    tag: str
    files: Mapping[str, bytes]


def load_edition(app_id: str, version: str, image_folder: Path, runtime: Path | None = None) -> PackageEdition:
    """Read the edition in an app's `image/` folder, with the program of EZ-Homelab's own in the folder `runtime`.

    The tag is `ez-homelab/<app_id>:<version>-<12 hex digits>`; the digits depend on every file of the context and on
    the recipe of the base and on nothing else. `version` is the program's version in the edition, which may be another
    one than upstream's image has: Debian keeps a version for the life of a release.

    Raises `CatalogError` where the folder holds no Dockerfile or something that is not a plain file, or where the id
    or the version cannot stand in an image's name.
    """
    if not _APP_ID.fullmatch(app_id) or not _VERSION.fullmatch(version):
        raise _fault(image_folder, f"{app_id!r} in version {version!r} cannot stand in an image's name")
    files = _read_context(image_folder, runtime)
    return PackageEdition(app_id, version, f"ez-homelab/{app_id}:{version}-{_context_hash(files)[:12]}", files)


def load_editions(app: App) -> dict[str, PackageEdition]:
    """Every edition of an app that has them, by service; a service that runs the main one's image has its edition.

    Raises as `load_edition` does, also where one is missing.
    """
    edition, main = app.manifest.edition, app.main_service
    found = {}
    for service in app.own_images:
        version = edition.image_version or app.manifest.version if edition else ""
        name, folder, runtime = app.id, app.folder / "image", app.runtime_folder
        if service != main:
            named = edition.services.get(service) if edition else None
            name, folder, runtime = f"{app.id}-{service}", app.folder / "images" / service, None
            version = named.image_version if named else ""
        found[service] = load_edition(name, version, folder, runtime)
    return {service: found[service if service in found else main] for service in app.compose.services}


def context_tar(edition: PackageEdition) -> bytes:
    """The build context as `docker build -` reads it: the same bytes for the same files, whoever made them and when."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(edition.files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _read_context(folder: Path, runtime: Path | None) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for name, path in context_paths(folder, runtime):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise _fault(path, "not a plain file; a link could bring any file of the server into an image")
        if path.is_file():
            files[name] = path.read_bytes()
    if "Dockerfile" not in files:
        raise _fault(folder, "no Dockerfile in this folder")
    return files


def _context_hash(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256(RECIPE_HASH.encode())
    for name, content in sorted(files.items()):
        # Lengths first, so that moving bytes from one file to the next cannot give the same digest.
        digest.update(f"{len(name.encode())}:{name}:{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()


def _fault(path: Path, message: str) -> CatalogError:
    return CatalogError(
        "a package edition cannot be used",
        (Fault(str(path), 0, 0, message),),
        fix="put a Dockerfile and the plain files that it copies into the app's image/ folder",
    )
