"""From an app's folder to a checked `App`, one app at a time, each at most once per process.

    Catalog.shipped().with_folder(lab / "catalog").app("dokuwiki")

Nothing is read but the folders that are asked for, so a catalog of any size costs what the lab uses of it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from ez_homelab.catalog.app import App, main_service, own_images
from ez_homelab.catalog.app_tests import AppTests
from ez_homelab.catalog.base import Model
from ez_homelab.catalog.compose_fragment import ComposeFragment
from ez_homelab.catalog.faults import did_you_mean, model_faults
from ez_homelab.catalog.lint import broken_rules
from ez_homelab.catalog.manifest import Manifest
from ez_homelab.errors import CatalogError, Fault
from ez_homelab.yaml_text import Document, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.catalog.compose_fragment import Healthcheck
    from ez_homelab.catalog.lint import Breach

MAX_FILES = 200
MAX_FILE_BYTES = 1_000_000

_M = TypeVar("_M", bound=Model)


class Catalog:
    """Apps by id, from one or more folders. A later folder's app stands for an earlier one's of the same id."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self._folders = folders
        self._apps: dict[str, App] = {}
        self._lock = threading.Lock()

    @classmethod
    def shipped(cls) -> Catalog:
        """The apps that come with EZ-Homelab; the same object in the whole process."""
        return _shipped()

    def with_folder(self, folder: Path) -> Catalog:
        """A catalog that has this folder's apps as well; a folder that is not there adds none."""
        return Catalog((*self._folders, folder))

    def ids(self) -> tuple[str, ...]:
        """The ids of all apps, sorted. Reads folder names, no app."""
        return tuple(sorted({name for folder in self._folders for name in _app_names(folder)}))

    def app(self, app_id: str) -> App:
        """The app, read and checked on first use.

        Raises:
            CatalogError: there is no such app, or its folder has faults.
        """
        with self._lock:
            if app_id not in self._apps:
                self._apps[app_id] = _load_cached(self.folder(app_id))
            return self._apps[app_id]

    def folder(self, app_id: str) -> Path:
        """The folder that the app is read from.

        Raises:
            CatalogError: there is no such app.
        """
        for folder in reversed(self._folders):
            if app_id in _app_names(folder):
                return folder / app_id
        ids = self.ids()
        raise CatalogError(
            f"no app called {app_id[:60]!r} in the catalog",
            (),
            fix=did_you_mean(app_id[:60], ids) or f"the catalog has: {', '.join(ids)}",
        )


@cache
def _shipped() -> Catalog:
    return Catalog((Path(__file__).parent / "apps",))


def _app_names(folder: Path) -> set[str]:
    """Names of the app folders; a set to look up in, so that no id from outside ever becomes part of a path."""
    if not folder.is_dir():
        return set()
    return {item.name for item in folder.iterdir() if not item.name.startswith((".", "_")) and item.is_dir()}


_loaded: dict[Path, App] = {}


def _load_cached(folder: Path) -> App:
    folder = folder.absolute()
    if folder not in _loaded:
        _loaded[folder] = load_app(folder)
    return _loaded[folder]


@dataclass(frozen=True)
class Reading:
    """What an app's folder holds: the app where its files can be read, and what is wrong with their form."""

    folder: Path
    app: App | None
    faults: tuple[Fault, ...]
    documents: Mapping[str, Document]

    def fault(self, breach: Breach) -> Fault:
        """The breach of a rule with its position."""
        if isinstance(breach.at, int):
            return Fault(str(self.folder / breach.file), breach.at, 1, breach.message, breach.suggestion)
        return self.documents[breach.file].fault(breach.at, breach.message, breach.suggestion)


def load_app(folder: Path) -> App:
    """The app in the folder.

    Raises:
        CatalogError: with every fault of every file of the folder and its position. Nothing was changed.
    """
    reading = read_app(folder)
    faults = list(reading.faults)
    if reading.app:
        faults += [reading.fault(breach) for breach in broken_rules(reading.app)]
        if not faults:
            return reading.app
    in_order = sorted(set(faults), key=lambda fault: (fault.file, fault.line, fault.column, fault.message))
    raise CatalogError(
        f"the app {folder.name[:60]!r} in the catalog has {len(in_order)} mistake{'s' if len(in_order) > 1 else ''}",
        tuple(in_order),
        fix=f"correct the files in {folder} and run this again",
    )


def read_app(folder: Path) -> Reading:
    """The folder's files in their form, before any rule is asked."""
    faults: list[Fault] = []
    documents = {name: _document(folder, name, faults) for name in ("service.yaml", "compose.yaml", "tests.yaml")}
    manifest = _model(documents["service.yaml"], Manifest, faults)
    compose = _model(documents["compose.yaml"], ComposeFragment, faults)
    tests = _model(documents["tests.yaml"], AppTests, faults)
    files = _files(folder / "files", faults)
    app = None
    if manifest and compose and tests:
        app = App(
            id=manifest.id,
            manifest=manifest,
            compose=_with_health_times(compose, manifest),
            tests=tests,
            files=MappingProxyType(files),
            image_folders=MappingProxyType(_image_folders(folder, manifest, compose)),
            folder=folder,
        )
    return Reading(folder, app, tuple(faults), MappingProxyType(documents))


def _image_folders(folder: Path, manifest: Manifest, compose: ComposeFragment) -> dict[str, Path]:
    main = main_service(manifest, compose)
    own = own_images(manifest, compose)
    wanted = {name: folder / "image" if name == main else folder / "images" / name for name in own}
    return {name: path for name, path in wanted.items() if (path / "Dockerfile").is_file()}


def _document(folder: Path, name: str, faults: list[Fault]) -> Document:
    path = folder / name
    try:
        document = parse_yaml(path.read_bytes(), str(path))
    except FileNotFoundError:
        document = Document(str(path), None, (Fault(str(path), 0, 0, f"{name} is missing"),), readable=False)
    except OSError as error:
        fault = Fault(str(path), 0, 0, f"cannot be read: {error.strerror}")
        document = Document(str(path), None, (fault,), readable=False)
    faults += document.faults
    return document


def _model(document: Document, model: type[_M], faults: list[Fault]) -> _M | None:
    if not document.readable:
        return None
    try:
        return model.model_validate(_with_tuples(document.data))
    except ValidationError as error:
        faults += model_faults(error, model, document)
        return None


def _with_tuples(data: Any) -> Any:
    """The same data with lists as tuples, the form that frozen models hold."""
    if isinstance(data, dict):
        return {key: _with_tuples(value) for key, value in data.items()}
    return tuple(_with_tuples(item) for item in data) if isinstance(data, list) else data


def _with_health_times(compose: ComposeFragment, manifest: Manifest) -> ComposeFragment:
    times = manifest.health.model_dump(include={"interval", "timeout", "start_period", "retries"})
    services = {
        name: service.model_copy(update={"healthcheck": _with_times(service.healthcheck, times)})
        for name, service in compose.services.items()
    }
    return compose.model_copy(update={"services": services})


def _with_times(healthcheck: Healthcheck | None, times: Mapping[str, int]) -> Healthcheck | None:
    if healthcheck is None:
        return None
    missing = {name: value for name, value in times.items() if getattr(healthcheck, name) is None}
    return healthcheck.model_copy(update=missing)


def _files(folder: Path, faults: list[Fault]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if problem := _file_problem(path, len(files)):
            faults.append(Fault(str(path), 0, 0, problem))
            break
        if path.is_file():
            files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return files


def _file_problem(path: Path, count: int) -> str:
    if path.is_symlink() or not (path.is_file() or path.is_dir()):
        return "is neither a file nor a folder: links and devices are not part of an app"
    if path.is_file() and path.stat().st_size > MAX_FILE_BYTES:
        return f"is larger than {MAX_FILE_BYTES:,} bytes"
    return f"more than {MAX_FILES} files in an app" if count >= MAX_FILES else ""
