"""The lock file `images.lock`: which image a name means in this lab, and where each app's images come from. Pure.

JSON, sorted, one value a line: safe for git, and two changes that touch different images merge by themselves. Reading
and writing the file is `load` and `save`, here too because nothing else may know its form.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from ez_homelab.errors import Fault, LabFileError
from ez_homelab.hosts.local_files import told_as_command_error, write_file
from ez_homelab.images.reference import DIGEST, Reference, pinned, short
from ez_homelab.yaml_text import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from ez_homelab.config.model import ImageSource

FILE = "images.lock"
VERSION = 1
_SOURCES = ("packages", "registry")
_CONFLICT = re.compile(r"(<{7}|={7}|>{7}|\|{7})(\s|$)")
_FIX = f"correct {FILE}, or take the version that git has: git checkout -- {FILE}"
_Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class LockedImage:
    """The one image that a name stands for. `locked` is the day (ISO 8601, UTC) on which that was settled."""

    digest: str
    repository: str
    source: ImageSource
    locked: str


@dataclass(frozen=True, slots=True)
class LockChange:
    """A name that means another image than before; a digest is empty where it had, or has, none."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class ImageLock:
    """What is locked: images by `name:tag` as catalog and editions call them, and each app instance's source."""

    images: Mapping[str, LockedImage] = field(default_factory=dict)
    sources: Mapping[str, ImageSource] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> ImageLock:
        """The lab's lock file; empty where there is none. Raises `LabFileError` with every mistake and its place."""
        path = folder / FILE
        try:
            text = path.read_bytes().decode()
        except FileNotFoundError:
            return cls()
        except UnicodeDecodeError as error:
            raise _refused((Fault(FILE, 0, 0, f"is not UTF-8 (byte {error.start})"),)) from error
        return parse_lock(text)

    def save(self, folder: Path) -> None:
        """Write it whole, renamed into place, for whom the folder belongs to; not where the file says the same already.

        What a run that was killed has left half-written goes with the next one. Raises `CommandError`.
        """
        path, content = folder / FILE, self.text().encode()
        with told_as_command_error("was not written", str(path), "this machine"):
            if path.exists() and path.read_bytes() == content:
                return
            owner = folder.stat()
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
            write_file(str(path.absolute()), content, mode=mode, uid=owner.st_uid, gid=owner.st_gid)

    def text(self) -> str:
        """The file's content."""
        document = {
            "version": VERSION,
            "images": {name: asdict(image) for name, image in self.images.items()},
            "sources": dict(self.sources),
        }
        return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def image(self, reference: str) -> LockedImage | None:
        """What the reference is locked to, in whatever form it is written."""
        return self.images.get(reference) or self.images.get(short(reference))

    def pinned(self, reference: str) -> str:
        """`repository:tag@digest` of the image that is locked; the reference as it is where none is."""
        image = self.image(reference)
        return pinned(image.repository, Reference.parse(reference).tag, image.digest) if image else reference

    def with_image(self, name: str, image: LockedImage) -> ImageLock:
        """The lock with that image under that name; the same object where it says so already.

        Only the day differs: nothing has been settled anew, so the earlier day stays.
        """
        before = self.images.get(name)
        if before and replace(before, locked=image.locked) == image:
            return self
        return replace(self, images={**self.images, name: image})

    def with_source(self, instance: str, source: ImageSource) -> ImageLock:
        """The lock with that app's source settled."""
        return self if self.sources.get(instance) == source else self._with_sources({**self.sources, instance: source})

    def without_source(self, instance: str) -> ImageLock:
        """The lock without that app, for one whose data is gone too."""
        if instance not in self.sources:
            return self
        return self._with_sources({name: source for name, source in self.sources.items() if name != instance})

    def only(self, names: Collection[str]) -> ImageLock:
        """The lock without images that the lab does not name any more."""
        kept = {name: image for name, image in self.images.items() if name in names}
        return self if len(kept) == len(self.images) else replace(self, images=kept)

    def changes(self, before: ImageLock) -> tuple[LockChange, ...]:
        """What differs in the images from the lock `before`, by name."""
        pairs = [
            (name, _digest(before.images.get(name)), _digest(self.images.get(name)))
            for name in sorted(before.images.keys() | self.images.keys())
        ]
        return tuple(LockChange(*pair) for pair in pairs if pair[1] != pair[2])

    def _with_sources(self, sources: Mapping[str, ImageSource]) -> ImageLock:
        return replace(self, sources=sources)


def parse_lock(text: str) -> ImageLock:
    """The lock in the file's text. Raises `LabFileError` with every mistake in it."""
    conflicts = _conflicts(text)
    if conflicts:
        raise _refused(conflicts)
    repeated: list[str] = []
    try:
        data = json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, repeated))
    except json.JSONDecodeError as error:
        raise _refused((Fault(FILE, error.lineno, error.colno, f"is not JSON: {error.msg}"),)) from error
    except RecursionError as error:
        raise _refused((Fault(FILE, 0, 0, "is nested too deep to be a lock file"),)) from error
    mistakes = [*_mistakes(data)]
    if mistakes or repeated:
        raise _refused(_placed(text, mistakes, repeated))
    images = {name: LockedImage(**image) for name, image in data["images"].items()}
    return ImageLock(images, dict(data["sources"]))


def _conflicts(text: str) -> tuple[Fault, ...]:
    lines = enumerate(text.splitlines(), 1)
    message, suggestion = "is left from a merge that was not finished", "keep one side and remove the marks"
    return tuple(Fault(FILE, line, 1, message, suggestion) for line, said in lines if _CONFLICT.match(said))


def _once(pairs: list[tuple[str, Any]], repeated: list[str]) -> dict[str, Any]:
    """A mapping; what is in it twice, as a merge can leave it, is noted."""
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        repeated += sorted({name for name in names if names.count(name) > 1})
    return result


def _mistakes(data: Any) -> Iterator[tuple[_Path, str]]:
    shape = [*_shape_mistakes(data)]
    if shape:
        yield from shape
        return
    for name, image in data["images"].items():
        yield from _image_mistakes(name, image)
    for name, source in data["sources"].items():
        if source not in _SOURCES:
            yield ("sources", name), "a source should be `registry` or `packages`"


def _shape_mistakes(data: Any) -> Iterator[tuple[_Path, str]]:
    if not isinstance(data, dict):
        yield (), "should be a mapping"
        return
    version = data.get("version")
    if version != VERSION or isinstance(version, bool):
        yield ("version",), f"version {version!r} of this file is not known: this program reads version {VERSION}"
        return
    for key in sorted(data.keys() - {"version", "images", "sources"}):
        yield (key,), f"unknown key `{key}`"
    for key in ("images", "sources"):
        if not isinstance(data.get(key), dict):
            yield (key,), f"`{key}` should be a mapping"


def _image_mistakes(name: str, image: Any) -> Iterator[tuple[_Path, str]]:
    at: _Path = ("images", name)
    if not _is_name(name):
        yield at, "this is not the name of an image with its tag"
    wanted = {item.name for item in fields(LockedImage)}
    if (
        not isinstance(image, dict)
        or image.keys() != wanted
        or not all(isinstance(text, str) for text in image.values())
    ):
        yield at, f"an image has these texts and nothing else: {', '.join(sorted(wanted))}"
        return
    if not DIGEST.fullmatch(image["digest"]):
        yield (*at, "digest"), "this is not a digest: sha256: and 64 hexadecimal digits"
    if not _is_repository(image["repository"]):
        yield (*at, "repository"), "this is not a repository: REGISTRY/PATH without tag"
    if image["source"] not in _SOURCES:
        yield (*at, "source"), "a source should be `registry` or `packages`"
    if not _is_day(image["locked"]):
        yield (*at, "locked"), "this is not a day: YYYY-MM-DD"


def _is_name(text: str) -> bool:
    try:
        parsed = Reference.parse(text)
    except ValueError:
        return False
    return bool(parsed.tag) and not parsed.digest


def _is_repository(text: str) -> bool:
    try:
        return Reference.parse(text).repository == text
    except ValueError:
        return False


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _placed(text: str, mistakes: list[tuple[_Path, str]], repeated: list[str]) -> tuple[Fault, ...]:
    """The mistakes with their lines; JSON is YAML too, and the reader of YAML knows where everything stands."""
    document = parse_yaml(text, FILE)
    faults = [*document.faults, *(document.fault(path, message) for path, message in mistakes)]
    if not faults:
        faults = [Fault(FILE, 0, 0, f"holds `{name}` twice in one place") for name in repeated]
    return tuple(sorted(faults))


def _digest(image: LockedImage | None) -> str:
    return image.digest if image else ""


def _refused(faults: tuple[Fault, ...]) -> LabFileError:
    return LabFileError(f"{FILE} cannot be used as it stands", faults, fix=_FIX)
