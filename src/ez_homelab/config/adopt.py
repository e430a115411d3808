"""What a person changed in a stack's compose.yaml on the server, as overrides of the stack's apps.

Only what an override can say is taken: keys and items that came or changed. What is gone, and what this program decides
itself, is refused with its line. Whoever writes the edits proves them first: render the lab with them and ask
`compose_differences`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from ez_homelab.config.adopted_files import not_adopted
from ez_homelab.config.files import Edit, read_text
from ez_homelab.config.overrides import ALLOWED, FOLDER, REFUSED, OverrideReader, read_override
from ez_homelab.yaml_text import parse_yaml, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path as FilePath

    from ez_homelab.config.reading import Path
    from ez_homelab.errors import Fault
    from ez_homelab.yaml_text import Document

FINGERPRINT = "ez-homelab.fingerprint"

# Compose replaces these whole, although they are lists.
_WHOLE = frozenset({"command", "entrypoint", "test"})

# An override that says the key takes the others away, because Compose or Docker refuses to be told both.
_TAKES_AWAY = {"cpus": ("cpu_period", "cpu_quota"), "mem_limit": ("mem_reservation",)}


def adopt_compose(
    desired_text: str, edited_text: str, services: Mapping[str, tuple[str, str]], path: str = "compose.yaml"
) -> dict[str, dict[str, Any]]:
    """The fragments, by app (its name in the lab), that turn the lab's compose.yaml into the edited one.

    `services` maps each container to the app and to the service's name in the app's own compose.yaml. Raises
    `NotAdoptedError` with every change that no override can say, at its line of the edited text (`path` in messages).
    """
    desired, edited = parse_yaml(desired_text, path), parse_yaml(edited_text, path)
    if edited.faults:
        raise not_adopted(path, edited.faults)
    comparison = _Comparison(edited, services)
    fragments = comparison.fragments(_normal(desired), _normal(edited))
    if comparison.faults:
        raise not_adopted(path, tuple(sorted(comparison.faults, key=lambda fault: (fault.line, fault.column))))
    return fragments


def adopt_edits(folder: FilePath, fragments: Mapping[str, Mapping[str, Any]]) -> tuple[Edit, ...]:
    """The edits of overrides/<app>.yaml that add these fragments to what the files say already.

    A file that is there is written anew: its comments go, as the edit's diff shows. Raises `NotAdoptedError` where what
    is there has mistakes.
    """
    return tuple(_edit(folder, app, fragment) for app, fragment in sorted(fragments.items()))


def compose_differences(rendered: str, edited: str) -> tuple[str, ...]:
    """Where two texts of one compose.yaml mean different things (`services.wiki.mem_limit`); empty where nowhere.

    Order, notation and comments do not count; nor does the fingerprint, which follows from the rest, nor whether Docker
    makes a missing folder, which it never does for a lab.
    """
    return tuple(_paths(_comparable(rendered), _comparable(edited), ""))


class _Comparison(OverrideReader):
    """Compares the edited document with the desired one, and holds the difference against the rules of overrides."""

    def __init__(self, edited: Document, services: Mapping[str, tuple[str, str]]) -> None:
        super().__init__(edited, None)
        self._known = services
        # Where an entry of the fragment stands in the edited text: by its list, and there by its index or name.
        self._places: dict[Path, dict[str | int, int]] = {}

    def fragments(self, desired: dict[str, Any], edited: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """By app; faults are noted."""
        self._outside(desired, edited)
        found: dict[str, dict[str, Any]] = {}
        before, after = desired["services"], edited["services"]
        for name in [*after, *(gone for gone in before if gone not in after)]:
            at: Path = ("services", name)
            if name not in after:
                self.fault(("services",), f"`{shown(name)}` was taken out", "ez-homelab remove takes an app out")
            elif name not in before:
                self.fault(at, f"`{shown(name)}` is no app of the lab", "give it a stack and a folder of its own")
            elif before[name] != after[name]:
                self._one(name, before[name], after[name], found)
        return found

    def fault(self, path: Path, message: str, suggestion: str = "") -> None:
        """See `Reader.fault`: at the place in the edited text that the fragment's entry comes from."""
        for length in range(1, len(path)):
            place = self._places.get(path[:length], {}).get(path[length])
            if place is not None:
                path = (*path[:length], place, *path[length + 1 :])
        super().fault(path, message, suggestion)

    def _outside(self, desired: dict[str, Any], edited: dict[str, Any]) -> None:
        """Everything but the services. Only a volume that Docker has already may come."""
        for key in {**edited, **desired}:
            if key == "volumes":
                self._volumes_outside(desired.get(key, {}), edited.get(key, {}))
            elif key != "services" and desired.get(key) != edited.get(key):
                self.fault((key,), f"`{shown(key)}` is written by this program alone", "put back what was there")

    def _volumes_outside(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        for name in {**after, **before}:
            wanted = before.get(name, {"external": True})
            if name not in after or after[name] != wanted:
                reason = "volumes outlive their stacks, so each is `external: true` and none is taken out"
                self.fault(("volumes", name), f"volume `{shown(name)}`: {reason}")

    def _one(self, name: str, before: dict[str, Any], after: dict[str, Any], found: dict[str, dict[str, Any]]) -> None:
        at: Path = ("services", name)
        if name not in self._known:
            self.fault(at, f"`{shown(name)}` is written by this program alone", "put back what was there")
            return
        app, service = self._known[name]
        difference = self._mapping(before, after, at, top=True)
        for key, others in _TAKES_AWAY.items():
            if key in difference:
                difference |= {other: after[other] for other in others if other in after and other not in difference}
        fragment = self.service(difference, at)
        if fragment and not self.faults:
            found.setdefault(app, {"services": {}})["services"][service] = self._as_written(app, fragment, at)

    def _mapping(self, before: dict[str, Any], after: dict[str, Any], at: Path, *, top: bool = False) -> dict[str, Any]:
        difference = {}
        for key, value in after.items():
            if key in before and before[key] == value:
                continue
            if top and key not in ALLOWED:
                reason = REFUSED.get(key, "an override cannot set it")
                self.fault((*at, key), f"the change of `{shown(key)}` is refused: {reason}", "put back what was there")
            else:
                difference[key] = self._value(key, before.get(key), value, (*at, key))
        for key in before.keys() - after.keys():
            if not any(key in _TAKES_AWAY.get(other, ()) for other in difference):
                self._gone(at, key)
        return difference

    def _value(self, key: str, before: Any, after: Any, at: Path) -> Any:
        if isinstance(before, dict) and isinstance(after, dict):
            return self._mapping(before, after, at)
        if isinstance(before, list) and isinstance(after, list) and key not in _WHOLE:
            return self._items(before, after, at)
        return after

    def _items(self, before: list[Any], after: list[Any], at: Path) -> list[Any]:
        new = [(index, item) for index, item in enumerate(after) if item not in before]
        self._places[at] = {position: index for position, (index, _) in enumerate(new)}
        replaced = {_target(item) for _, item in new} - {None}
        for item in before:
            if item not in after and _target(item) not in replaced:
                self._gone(at, _target(item) or item)
        return [item for _, item in new]

    def _gone(self, at: Path, what: object) -> None:
        reason = "an override adds and changes, it takes nothing away"
        self.fault(
            at, f"`{shown(str(what))}` was taken out: {reason}", "put it back, or change the app's catalog folder"
        )

    def _as_written(self, app: str, fragment: dict[str, Any], at: Path) -> dict[str, Any]:
        """The fragment with an override's names: volumes without the app's own, services instead of containers."""
        if "volumes" in fragment:
            pairs = enumerate(fragment["volumes"])
            fragment["volumes"] = [self._own_volume(app, item, (*at, "volumes", index)) for index, item in pairs]
        if isinstance(fragment.get("depends_on"), dict):
            own = {container: service for container, (owner, service) in self._known.items() if owner == app}
            fragment["depends_on"] = {own.get(name, name): how for name, how in fragment["depends_on"].items()}
        return fragment

    def _own_volume(self, app: str, mount: Any, at: Path) -> Any:
        if not isinstance(mount, dict) or mount.get("type") != "volume" or not mount.get("source"):
            return mount
        source = mount["source"]
        if not source.startswith(f"{app}-"):
            self.fault(at, f"the volume `{shown(source)}` is not the app's", f"name it `{app}-` and a word")
        return {**mount, "source": source.removeprefix(f"{app}-")}


def _normal(document: Document) -> dict[str, Any]:
    """The document in one notation, so that two can be compared by value."""
    data = document.data if isinstance(document.data, dict) else {}
    written = data.get("services")
    services = written if isinstance(written, dict) else {}
    outside = {
        key: (value if isinstance(value, dict) else {}) if key == "volumes" else value for key, value in data.items()
    }
    return {
        **outside,
        "services": {name: _service(document, name, service or {}) for name, service in services.items()},
    }


def _service(document: Document, name: str, service: Any) -> Any:
    if not isinstance(service, dict):
        return service
    at: Path = ("services", name)
    normal = dict(service)
    for key in ("environment", "labels"):
        if key in normal:
            normal[key] = _pairs(document, normal[key], (*at, key))
    if isinstance(normal.get("depends_on"), list):
        normal["depends_on"] = {str(other): {"condition": "service_started"} for other in normal["depends_on"]}
    if isinstance(normal.get("networks"), list):
        normal["networks"] = {str(network): {} for network in normal["networks"]}
    elif isinstance(normal.get("networks"), dict):
        normal["networks"] = {network: how or {} for network, how in normal["networks"].items()}
    if isinstance(normal.get("volumes"), list):
        normal["volumes"] = [_mount(entry) for entry in normal["volumes"]]
    return normal


def _pairs(document: Document, value: Any, at: Path) -> Any:
    """`[A=1]` and `{A: 1}` as `{A: "1"}`; what is neither stays, for the rules to refuse."""
    if isinstance(value, list) and all(isinstance(item, str) and "=" in item for item in value):
        return dict(item.split("=", 1) for item in value)
    if not isinstance(value, dict):
        return value
    return {
        key: item if item is None or isinstance(item, str) else document.written((*at, key))
        for key, item in value.items()
    }


def _mount(entry: Any) -> Any:
    """A mount in Compose's long form. Whether a missing folder is made does not count: in a lab it never is."""
    if isinstance(entry, dict):
        bind = {key: value for key, value in (entry.get("bind") or {}).items() if key != "create_host_path"}
        return {key: value for key, value in entry.items() if key != "bind"} | ({"bind": bind} if bind else {})
    first, colon, rest = str(entry).partition(":")
    target, _, words = rest.partition(":")
    if not colon:
        return {"type": "volume", "target": first}
    mount: dict[str, Any] = {"type": "bind" if "/" in first else "volume", "source": first, "target": target}
    options = set(words.split(",")) - {"", "rw"}
    if options <= {"ro"}:
        return mount | ({"read_only": True} if options else {})
    return entry  # an option that is not told apart here: the edits are proven by rendering them


def _target(item: Any) -> Any:
    return item.get("target") if isinstance(item, dict) else None


def _comparable(text: str) -> Any:
    data = _normal(parse_yaml(text, "compose.yaml"))
    for service in data["services"].values():
        if isinstance(service, dict) and isinstance(service.get("labels"), dict):
            service["labels"] = {key: value for key, value in service["labels"].items() if key != FINGERPRINT}
    return data


def _paths(first: Any, second: Any, at: str) -> Iterator[str]:
    if isinstance(first, dict) and isinstance(second, dict):
        for key in dict.fromkeys([*first, *second]):
            yield from _paths(first.get(key), second.get(key), f"{at}.{key}".lstrip("."))
    elif not _means_the_same(first, second, at):
        yield at


def _means_the_same(first: Any, second: Any, at: str) -> bool:
    if isinstance(first, list) and isinstance(second, list) and at.rpartition(".")[2] not in _WHOLE:
        return len(first) == len(second) and all(item in second for item in first)
    return bool(first == second)


def _edit(folder: FilePath, app: str, fragment: Mapping[str, Any]) -> Edit:
    name = f"{FOLDER}/{app}.yaml"
    path = folder / name
    faults: list[Fault] = []
    before = read_text(path) if path.exists() else ""
    whole = _together(read_override(folder, name, None, faults), fragment) if before else fragment
    if faults:
        raise not_adopted(name, tuple(faults))
    return Edit(path, before, yaml.safe_dump(whole, sort_keys=False, width=1000, allow_unicode=True))


def _together(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Both fragments in one: mappings merge, lists grow, a mount goes where another has its target."""
    result = dict(first)
    for key, value in second.items():
        before = result.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            result[key] = _together(before, value)
        elif isinstance(before, list) and isinstance(value, list) and key not in _WHOLE:
            targets = {_target(item) for item in value} - {None}
            stays = [item for item in before if _target(_mount(item) if key == "volumes" else item) not in targets]
            result[key] = [*stays, *(item for item in value if item not in stays)]
        else:
            result[key] = value
    return result
