"""What the options of a lab mean together: unique names, known apps and servers, keys set once over all files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ez_homelab.config import rules
from ez_homelab.config.model import CORE
from ez_homelab.config.options import LAB, SMTP
from ez_homelab.yaml_text import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ez_homelab.config.reading import Entry, Reader

ADDS_UP = ("include", "servers", "stacks", "version")
"""Keys that every file of a lab may hold."""


@dataclass(slots=True)
class Source:
    """One file of the lab: its reader (which holds document and faults) and its options in full shape."""

    reader: Reader
    values: dict[str, Any]

    @property
    def file(self) -> str:
        """Its name in messages: relative to the lab folder."""
        return self.reader.document.file


def check(sources: list[Source], app_ids: Collection[str] | None) -> None:
    """Notes, in the sources' readers, what is wrong with options taken together, over all files."""
    if not all(source.reader.document.readable for source in sources[:1]):
        return
    _check_required(sources)
    _check_set_once(sources)
    for source in sources:
        _check_paths(source)
        _check_mail(source)
    _check_stacks(sources)
    _check_apps(sources, app_ids)
    _check_subdomains(sources)
    _check_policies(sources)
    _check_sleep(sources)


def _check_required(sources: list[Source]) -> None:
    readable = all(source.reader.document.readable for source in sources)
    missing = {"version": sources[:1], "domain": sources if readable else []}
    for option in LAB.options:
        among = missing.get(option.name, [])
        if among and not any(_has_key(source, option.name) for source in among):
            sources[0].reader.fault((), f"`{option.name}` is missing", f"add `{option.name}: {option.example}`")


def _has_key(source: Source, key: str) -> bool:
    data = source.reader.document.data
    return key in data if isinstance(data, dict) else data is not None


def _check_set_once(sources: list[Source]) -> None:
    first: dict[str, Source] = {}
    for source in sources:
        for key in source.values:
            if key not in ADDS_UP and (earlier := first.setdefault(key, source)) is not source:
                line, _ = earlier.reader.document.position((key,))
                source.reader.fault((key,), f"`{key}` is set already: {earlier.file}, line {line}", "keep one of them")


def _check_paths(source: Source) -> None:
    paths = source.values.get("paths", {})
    for key in ("media", "downloads"):
        if "data" in paths and key in paths:
            source.reader.fault(("paths", key), f"`data` stands for `media` and `downloads`, so `{key}` is too much")


def _check_mail(source: Source) -> None:
    sign_on = source.values.get("sign_on", {})
    if "smtp" not in sign_on:
        return
    # As it stands in the file: what has a wrong value is told of already.
    written = source.reader.document.data["sign_on"]["smtp"] or {}
    for option in SMTP.options:
        if option.required and option.name not in written:
            fix = f"add `{option.name}: {option.example}`"
            source.reader.fault(("sign_on", "smtp"), f"`{option.name}` is missing in smtp", fix)
    if sign_on.get("engine", "builtin") == "builtin":
        fix = "remove it, or say `engine: authelia`; people get the gate's links from `ez-homelab users invite`"
        source.reader.fault(("sign_on", "smtp"), "the gate sends no mail, so `smtp` means nothing", fix)


def entries(sources: list[Source], key: str) -> Iterator[tuple[Source, Entry]]:
    """The named things under the key, each with the file it stands in, in reading order."""
    return ((source, entry) for source in sources for entry in source.values.get(key, ()))


def _instances(sources: list[Source]) -> Iterator[tuple[Source, Entry]]:
    return ((source, app) for source, stack in entries(sources, "stacks") for app in stack.value.get("apps", ()))


def _check_unique(things: Iterator[tuple[Source, Entry]], word: str) -> None:
    first: dict[str, tuple[Source, Entry]] = {}
    for source, entry in things:
        earlier_source, earlier = first.setdefault(entry.name, (source, entry))
        if earlier is not entry:
            line, _ = earlier_source.reader.document.position(earlier.path)
            suggestion = "give one of them another name, and its id as `app`" if word == "app" else "keep one of them"
            message = f"{word} `{shown(entry.name)}` is there twice: the first is in {earlier_source.file}, line {line}"
            source.reader.fault(entry.path, message, suggestion)


def _check_stacks(sources: list[Source]) -> None:
    _check_unique(entries(sources, "servers"), "server")
    _check_unique(entries(sources, "stacks"), "stack")
    servers = {entry.name for _, entry in entries(sources, "servers")} | {CORE}
    for source, stack in entries(sources, "stacks"):
        server = stack.value.get("server", CORE)
        if server not in servers:
            suggestion = rules.did_you_mean(server, servers) or f"this version runs one, `{CORE}`"
            source.reader.fault((*stack.path, "server"), f"there is no server `{server}`", suggestion)
        if not stack.value.get("apps") and not _is_faulty(source, stack):
            source.reader.fault(stack.path, f"stack `{shown(stack.name)}` has no apps", "add one, or remove the stack")


def _is_faulty(source: Source, stack: Entry) -> bool:
    """Whether something is written where the stack's apps should be: that was told already."""
    written = source.reader.document.data["stacks"][stack.name]
    return bool(written.get("apps")) if isinstance(written, dict) else bool(written)


def _check_apps(sources: list[Source], app_ids: Collection[str] | None) -> None:
    _check_unique(_instances(sources), "app")
    for source, instance in _instances(sources):
        app = instance.value.get("app", instance.name)
        path = (*instance.path, "app") if "app" in instance.value else instance.path
        own = next((name for name in (instance.name, app) if name in rules.OWN_STACKS), None)
        if own:
            at = instance.path if own == instance.name else path
            message = f"`{own}` comes by itself where a lab needs it, in stack `{rules.OWN_STACKS[own]}`"
            source.reader.fault(at, message, "leave it out")
        elif app_ids is not None and app not in app_ids and not source.reader.full:
            source.reader.fault(path, f"there is no app `{app}` in the catalog", rules.did_you_mean(app, app_ids))


def _check_subdomains(sources: list[Source]) -> None:
    first: dict[str, str] = {}
    for _, instance in _instances(sources):
        if "subdomain" not in instance.value:
            first.setdefault(instance.name, instance.name)
    for source, instance in _instances(sources):
        subdomain = instance.value.get("subdomain")
        if subdomain is None:
            if instance.name in rules.RESERVED_SUBDOMAINS and instance.name not in rules.CORE_APPS:
                message = f"name `{instance.name}` would be a sub-domain that is kept for the lab itself"
                source.reader.fault(instance.path, message, "choose another name")
        elif (other := first.setdefault(subdomain, instance.name)) != instance.name:
            at = (*instance.path, "subdomain")
            source.reader.fault(at, f"sub-domain `{subdomain}` belongs to app `{other}` already", "choose another one")


def _check_policies(sources: list[Source]) -> None:
    for source, instance in _instances(sources):
        policy = instance.value.get("policy")
        if policy in ("bypass", "deny"):
            whom = "everybody" if policy == "bypass" else "nobody"
            for key in ("groups", "bypass"):
                if instance.value.get(key):
                    message = f"`policy: {policy}` stands for {whom}, so `{key}` means nothing"
                    source.reader.fault((*instance.path, key), message, "keep one of the two")


def _check_sleep(sources: list[Source]) -> None:
    for source, instance in _instances(sources):
        lazy = instance.value.get("lazy", {})
        for key in lazy if lazy.get("mode") == "off" else ():
            if key != "mode":
                message = f"`mode: off` stands for an app that never sleeps, so `{key}` means nothing"
                source.reader.fault((*instance.path, "lazy", key), message, "keep one of the two")
