"""homelab.yaml and what it includes, as a `Lab`; or every mistake in them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ez_homelab.config.checks import ADDS_UP, Source, check, entries
from ez_homelab.config.model import (
    CORE,
    AppInstance,
    Images,
    Lab,
    LazySettings,
    Limits,
    OnDemandSettings,
    Paths,
    Server,
    SignOnSettings,
    Smtp,
    Stack,
    User,
)
from ez_homelab.config.options import LAB
from ez_homelab.config.reading import Entry, Reader
from ez_homelab.errors import Fault, LabFileError
from ez_homelab.yaml_text import MAX_BYTES, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

LAB_FILE = "homelab.yaml"
MAX_FILES = 100


class UnreadableError(Exception):
    """A file of the lab may not or cannot be read; `str()` says why."""


def load_lab(folder: Path, app_ids: Collection[str] | None = None, *, text: bytes | str | None = None) -> Lab:
    """The lab in the folder. With `app_ids`, an app that is not among them is a fault.

    With `text`, the lab as it would be with that as homelab.yaml: for a change that is shown before it is written.
    Raises `LabFileError` with every fault, in reading order: homelab.yaml first, then what it includes.
    """
    return _checked(_read_sources(folder, text), app_ids)


def lab_from_text(text: bytes | str, app_ids: Collection[str] | None = None, file: str = LAB_FILE) -> Lab:
    """The lab in one text. `include` is refused here, as there is no folder to look in."""
    source = read_source(text, file)
    if source.values.get("include"):
        source.reader.fault(("include",), "a lab that includes other files is read from its folder")
    return _checked([source], app_ids)


def lab_file_error(faults: tuple[Fault, ...]) -> LabFileError:
    """The error that tells all the faults at once."""
    count = "one mistake" if len(faults) == 1 else f"{len(faults)} mistakes"
    files = sorted({fault.file for fault in faults})
    where = " and ".join(files) if len(files) < 3 else f"{len(files)} files of the lab"
    return LabFileError(
        f"{where}: {count}; nothing was changed", faults, fix="correct this, then run `ez-homelab check`"
    )


def read_lab_file(folder: Path, name: str) -> bytes:
    """The content of a file inside the lab folder. Raises `UnreadableError`."""
    path = folder / name
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise UnreadableError(f"`{name}` leads out of the lab folder")
        if not path.is_file():
            raise UnreadableError(f"there is no file `{name}` in the lab folder")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "its links form a circle"
        raise UnreadableError(f"`{name}` cannot be read: {reason}") from error


def read_source(text: bytes | str, file: str) -> Source:
    """One file's options, whatever is wrong with them noted in its reader."""
    document = parse_yaml(text, file)
    reader = Reader(document)
    return Source(reader, reader.group(LAB, document.data, ()) if document.readable else {})


def included_files(folder: Path) -> tuple[str, ...]:
    """The files that the lab file includes, and those that they include, by their path in the lab's folder."""
    return tuple(source.file for source in _read_sources(folder, None))


def _read_sources(folder: Path, text: bytes | str | None) -> list[Source]:
    try:
        sources = [read_source(read_lab_file(folder, LAB_FILE) if text is None else text, LAB_FILE)]
    except UnreadableError as error:
        fault = Fault(LAB_FILE, 0, 0, str(error), "`ez-homelab init` writes one to start from")
        raise lab_file_error((fault,)) from error
    seen = {(folder / LAB_FILE).resolve()}
    for source in sources:  # grows while it is walked: an included file may include others
        for index, name in enumerate(source.values.get("include", ())):
            if name is not None:
                _read_include(folder, source, ("include", index), name, sources, seen)
    return sources


def _read_include(
    folder: Path, source: Source, at: tuple[str, int], name: str, sources: list[Source], seen: set[Path]
) -> None:
    parent = source.file.rpartition("/")[0]
    file = f"{parent}/{name}" if parent else name
    try:
        content = read_lab_file(folder, file)
    except UnreadableError as error:
        source.reader.fault(at, str(error))
        return
    real = (folder / file).resolve()
    if real in seen:
        source.reader.fault(at, f"`{file}` is included already", "remove this line")
    elif len(sources) >= MAX_FILES:
        source.reader.fault(at, f"a lab has at most {MAX_FILES} files")
    else:
        seen.add(real)
        sources.append(read_source(content, file))


def _checked(sources: list[Source], app_ids: Collection[str] | None) -> Lab:
    check(sources, app_ids)
    ordered = (sorted(source.reader.faults, key=lambda fault: (fault.line, fault.column)) for source in sources)
    if found := tuple(fault for faults in ordered for fault in faults):
        raise lab_file_error(found)
    return _build(sources)


def _build(sources: list[Source]) -> Lab:
    values: dict[str, Any] = {}
    for source in sources:
        values.update({key: value for key, value in source.values.items() if key not in ADDS_UP})
    servers = tuple(Server(entry.name, **entry.value) for _, entry in entries(sources, "servers"))
    return Lab(
        domain=values["domain"],
        timezone=values.get("timezone", "Etc/UTC"),
        user=User(**values.get("user", {})),
        paths=_paths(values.get("paths", {})),
        images=Images(**values.get("images", {})),
        sign_on=_sign_on(values.get("sign_on", {})),
        on_demand=OnDemandSettings(**values.get("on_demand", {})),
        servers=servers or (Server(),),
        stacks=build_stacks(sources),
    )


def build_stacks(sources: list[Source]) -> tuple[Stack, ...]:
    """The stacks in the files, in reading order."""
    return tuple(_stack(entry) for _, entry in entries(sources, "stacks"))


def _paths(values: dict[str, str]) -> Paths:
    data = values.get("data")
    return Paths(f"{data}/media", f"{data}/downloads", data) if data else Paths(**values)


def _sign_on(values: dict[str, Any]) -> SignOnSettings:
    lan = {"lan": tuple(values["lan"])} if "lan" in values else {}
    smtp = {"smtp": Smtp(**values["smtp"])} if "smtp" in values else {}
    return SignOnSettings(**values | lan | smtp)


def _stack(entry: Entry) -> Stack:
    apps = tuple(_instance(app) for app in entry.value.get("apps", ()))
    return Stack(entry.name, entry.value.get("server", CORE), apps)


def _instance(entry: Entry) -> AppInstance:
    values = entry.value
    return AppInstance(
        name=entry.name,
        app=values.get("app", entry.name),
        subdomain=values.get("subdomain"),
        environment=_mapping(values.get("environment", ())),
        limits=Limits(**values.get("limits", {})),
        access=values.get("access"),
        policy=values.get("policy"),
        groups=tuple(values["groups"]) if "groups" in values else None,
        bypass=_mapping(values["bypass"]) if "bypass" in values else None,
        lazy=_lazy(values.get("lazy", {})),
    )


def _lazy(values: dict[str, Any]) -> LazySettings:
    awake = {"awake": tuple(values["awake"])} if "awake" in values else {}
    return LazySettings(**values | awake)


def _mapping(entries: Iterable[Entry]) -> dict[str, str]:
    return {entry.name: entry.value for entry in entries}
