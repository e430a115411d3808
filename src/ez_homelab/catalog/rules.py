"""What must agree between service.yaml, compose.yaml, tests.yaml and files/ of one app.

A rule is a function from an app to its breaches: the file, the path in it, the sentence, the suggestion.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ez_homelab.catalog.app import App
    from ez_homelab.catalog.compose_fragment import Mount

Breach = tuple[str, tuple[str | int, ...], str, str]

SERVICE, COMPOSE = "service.yaml", "compose.yaml"
LAB_VARIABLES = frozenset({"MEDIA", "DOWNLOADS", "PUID", "PGID", "UMASK", "TZ"})
"""Variables every app may use in compose.yaml: the lab's paths, user and time zone."""
DOCKER_SOCKET = "/var/run/docker.sock"

_VARIABLE = re.compile(r"(?<!\$)\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_KEY)(?!_FILE)$", re.IGNORECASE)


def broken_rules(app: App) -> list[Breach]:
    """Every breach of every rule."""
    return [breach for rule in RULES for breach in rule(app)]


def _id_is_folder(app: App) -> Iterator[Breach]:
    if app.id != app.folder.name:
        yield SERVICE, ("id",), f"the id `{app.id}` is not the folder's name `{app.folder.name}`", "make them the same"


def _services_exist(app: App) -> Iterator[Breach]:
    manifest, known = app.manifest, app.compose.services
    named: list[tuple[tuple[str | int, ...], str]] = []
    if manifest.web:
        named.append((("web", "service"), manifest.web.service))
    if manifest.monitoring.metrics and manifest.monitoring.metrics.service:
        named.append((("monitoring", "metrics", "service"), manifest.monitoring.metrics.service))
    named += [(("backup", "dumps", n, "service"), dump.service) for n, dump in enumerate(manifest.backup.dumps)]
    named += [(("network", "internal_only", n), name) for n, name in enumerate(manifest.network.internal_only)]
    named += [(("update", "manual_images", n), name) for n, name in enumerate(manifest.update.manual_images)]
    named += [(("resources", "services", name), name) for name in manifest.resources.services]
    for path, name in named:
        if name not in known:
            yield SERVICE, path, f"compose.yaml has no service `{name}`", f"it has: {', '.join(known)}"
    for service, definition in known.items():
        for name in definition.depends_on:
            if name not in known:
                yield COMPOSE, ("services", service, "depends_on", name), f"there is no service `{name}`", ""


def _mounts(app: App) -> Iterator[tuple[tuple[str | int, ...], Mount]]:
    for name, service in app.compose.services.items():
        for number, mount in enumerate(service.volumes):
            yield ("services", name, "volumes", number), mount


def _mounted_volumes_are_declared(app: App) -> Iterator[Breach]:
    declared = {volume.name: volume for volume in app.manifest.volumes}
    for path, mount in _mounts(app):
        if mount.kind != "volume":
            continue
        if mount.source not in declared:
            yield COMPOSE, path, f"volume `{mount.source}` is not declared in service.yaml", "add it to `volumes`"
        elif declared[mount.source].path != mount.target:
            yield COMPOSE, path, f"service.yaml says `{mount.source}` is at {declared[mount.source].path}", ""
        if mount.source not in app.compose.volumes:
            yield COMPOSE, path, f"volume `{mount.source}` is not among compose.yaml's `volumes`", "add it there"


def _declared_volumes_are_mounted(app: App) -> Iterator[Breach]:
    mounted = {mount.source for _, mount in _mounts(app) if mount.kind == "volume"}
    for number, volume in enumerate(app.manifest.volumes):
        if volume.name not in mounted:
            yield SERVICE, ("volumes", number), f"no service of compose.yaml mounts volume `{volume.name}`", ""
    for name in app.compose.volumes:
        if name not in mounted:
            yield COMPOSE, ("volumes", name), f"no service mounts volume `{name}`", "remove it"
    declared = {volume.name for volume in app.manifest.volumes}
    for number, name in enumerate(app.manifest.backup.include or ()):
        if name not in declared:
            yield SERVICE, ("backup", "include", number), f"there is no volume `{name}`", ""


def _mounted_files_are_declared(app: App) -> Iterator[Breach]:
    declared = {file.mounted_as for file in app.manifest.files}
    for path, mount in _mounts(app):
        if mount.kind == "file" and mount.source not in declared:
            yield COMPOSE, path, f"`{mount.source}` is not declared in service.yaml", "add it to `files`"
        elif mount.kind == "file" and not mount.read_only:
            yield COMPOSE, path, f"`{mount.source}` is mounted for writing", "add `:ro`; what an app writes is a volume"


def _declared_files_are_there(app: App) -> Iterator[Breach]:
    for number, file in enumerate(app.manifest.files):
        held = any(_covers(file.source, name) for name in app.files)
        at: tuple[str | int, ...] = ("files", number, "source")
        if held == file.rendered:
            words = "is in files/ and declared as rendered" if held else "is not in files/"
            yield SERVICE, at, f"`{file.source}` {words}", "" if held else "add it, or say `rendered: true`"
        if file.on_change == "watch" and not file.is_folder:
            yield SERVICE, at, f"`{file.source}` cannot be watched: only folders can", "mount its folder instead"
    for name in app.files:
        if not any(_covers(file.source, name) for file in app.manifest.files):
            yield SERVICE, ("files",), f"files/{name} is not declared", "add it to `files`, or remove it"


def _covers(source: str, name: str) -> bool:
    return name == source or (source.endswith("/") and name.startswith(source))


def _host_paths_have_reasons(app: App) -> Iterator[Breach]:
    granted = _granted(app)
    for path, mount in _mounts(app):
        if mount.kind != "host":
            continue
        if mount.source == DOCKER_SOCKET:
            if not _kinds(app) & {"docker_socket"}:
                yield COMPOSE, path, "the Docker socket needs a permission", "add `docker_socket` with its reason"
        elif ("host_path", mount.source) not in granted:
            yield COMPOSE, path, f"{mount.source} of the server needs a permission", "add `host_path` with its reason"


def _rights_have_reasons(app: App) -> Iterator[Breach]:
    granted, kinds = _granted(app), _kinds(app)
    for name, service in app.compose.services.items():
        at = ("services", name)
        if service.pid and "host_pid" not in kinds:
            yield COMPOSE, (*at, "pid"), "`pid: host` needs a permission", "add `host_pid` with its reason"
        if service.devices and "devices" not in kinds:
            yield COMPOSE, (*at, "devices"), "devices need a permission", "add `devices` with its reason"
        for number, capability in enumerate(service.cap_add):
            wanted = "net_admin" if capability == "NET_ADMIN" else "capability"
            if (wanted, capability) not in granted and (wanted, None) not in granted:
                yield (
                    COMPOSE,
                    (*at, "cap_add", number),
                    f"{capability} needs a permission",
                    f"add `{wanted}` with its reason",
                )
        if _is_root(service.user) and not {("root", None), ("root", name)} & granted:
            yield COMPOSE, at, f"`{name}` runs as root", "set `user`, or add permission `root` with its reason"


def _is_root(user: str | None) -> bool:
    return user is None or not user.partition(":")[0].strip("0")


def _granted(app: App) -> set[tuple[str, str | None]]:
    return {(item.permission, item.what) for item in app.manifest.permissions}


def _kinds(app: App) -> set[str]:
    return {item.permission for item in app.manifest.permissions}


def _variables_are_defined(app: App) -> Iterator[Breach]:
    defined = LAB_VARIABLES | {item.env for item in app.manifest.inputs if item.env}
    defined |= {item.env for item in app.manifest.secrets if item.env}
    for name, service in app.compose.services.items():
        texts: list[tuple[tuple[str | int, ...], str]]
        texts = [(("environment", key), value) for key, value in service.environment.items()]
        texts += [(("volumes", number), mount.source) for number, mount in enumerate(service.volumes)]
        for where, text in texts:
            for variable in sorted(set(_VARIABLE.findall(text)) - defined):
                yield COMPOSE, ("services", name, *where), f"nothing defines ${{{variable}}}", "declare an input for it"


def _no_literal_secret(app: App) -> Iterator[Breach]:
    for name, service in app.compose.services.items():
        for key, value in service.environment.items():
            if _SECRET_NAME.search(key) and value and not _VARIABLE.fullmatch(value.rstrip("}")):
                at = ("services", name, "environment", key)
                yield COMPOSE, at, f"`{key}` holds a secret as text", "declare it under `secrets` in service.yaml"


def _health_is_known(app: App) -> Iterator[Breach]:
    for name, service in app.compose.services.items():
        if not service.healthcheck:
            yield COMPOSE, ("services", name), f"`{name}` has no health check", "add `healthcheck`"


def _sources_are_named(app: App) -> Iterator[Breach]:
    manifest = app.manifest
    needed = ["version", *(["architectures"] if manifest.architectures != "unknown" else [])]
    needed += ["web.port"] if manifest.web else []
    needed += ["monitoring.metrics.port"] if manifest.monitoring.metrics else []
    known = {fact for source in manifest.sources for fact in source.facts}
    for fact in needed:
        if fact not in known:
            yield SERVICE, ("sources",), f"no source is named for `{fact}`", "add where and when it was found"


def _choices_have_reasons(app: App) -> Iterator[Breach]:
    manifest = app.manifest
    lazy, auth = manifest.lazy, manifest.auth
    if lazy.suitable is False and not lazy.reason:
        yield SERVICE, ("lazy", "suitable"), "an app that is not suitable for sleeping needs a reason", "add `reason`"
    if lazy.mode != "off" and lazy.suitable is not True:
        yield SERVICE, ("lazy", "mode"), "the app is not known to be suitable for sleeping", "write `mode: off`"
    if auth.mode == "none" and not auth.reason:
        yield SERVICE, ("auth", "mode"), "an app without sign-on needs a reason", "add `reason`"
    if auth.mode == "oidc" and not auth.oidc:
        yield SERVICE, ("auth", "mode"), "`mode: oidc` needs `oidc`", "add the redirect addresses"
    if auth.mode == "forward_auth" and auth.native_clients and not auth.bypass:
        yield SERVICE, ("auth", "native_clients"), "native clients cannot pass forward_auth", "add `bypass` paths"
    if manifest.status in ("deprecated", "disabled") and not (manifest.replaced_by or manifest.notes):
        yield SERVICE, ("status",), f"a {manifest.status} app says why", "add `replaced_by` or `notes`"


def _no_way_out_means_none(app: App) -> Iterator[Breach]:
    network = app.manifest.network
    if network.egress == "none" and network.join:
        message = "an app that may not reach the outside cannot join a shared network, which leads there"
        yield SERVICE, ("network", "egress"), message, "remove one of the two"


def _data_is_kept_whole(app: App) -> Iterator[Breach]:
    backup = app.manifest.backup
    for number, volume in enumerate(app.manifest.volumes):
        if volume.volume_class == "database" and backup.consistency == "live":
            yield SERVICE, ("volumes", number), "a database cannot be copied while it runs", "use `dump` or `stop`"
    if backup.consistency == "dump" and not backup.dumps:
        yield SERVICE, ("backup", "consistency"), "`dump` needs `dumps`", "name the database, or use `stop`"
    secrets = {secret.id for secret in app.manifest.secrets}
    for number, dump in enumerate(backup.dumps):
        if dump.secret and dump.secret not in secrets:
            yield SERVICE, ("backup", "dumps", number, "secret"), f"there is no secret `{dump.secret}`", ""


def _limits_are_sane(app: App) -> Iterator[Breach]:
    resources = app.manifest.resources
    for where, limits in (((), resources), *((("services", name), item) for name, item in resources.services.items())):
        if limits.memory.reserve > limits.memory.limit:
            yield SERVICE, ("resources", *where, "memory"), "more memory is reserved than the limit allows", ""
        if limits.cpu.reserve and limits.cpu.reserve > limits.cpu.limit:
            yield SERVICE, ("resources", *where, "cpu"), "more processor is reserved than the limit allows", ""


def _names_are_unique(app: App) -> Iterator[Breach]:
    manifest = app.manifest
    lists: tuple[tuple[str, list[str]], ...] = (
        ("inputs", [item.id for item in manifest.inputs]),
        ("secrets", [item.id for item in manifest.secrets]),
        ("volumes", [item.name for item in manifest.volumes]),
        ("files", [item.mounted_as for item in manifest.files]),
    )
    for key, names in lists:
        for number, name in enumerate(names):
            if name in names[:number]:
                yield SERVICE, (key, number), f"`{name}` is there twice in `{key}`", "remove one"


def _edition_is_declared(app: App) -> Iterator[Breach]:
    if app.manifest.edition and app.main_service not in app.image_folders:
        yield SERVICE, ("edition",), "there is no image/Dockerfile", "add it, or remove `edition`"
    if app.image_folders and not app.manifest.edition:
        yield SERVICE, (), "image/Dockerfile is there, but `edition` is missing", "say what the package edition carries"


RULES: tuple[Callable[[App], Iterator[Breach]], ...] = (
    _id_is_folder,
    _services_exist,
    _mounted_volumes_are_declared,
    _declared_volumes_are_mounted,
    _mounted_files_are_declared,
    _declared_files_are_there,
    _host_paths_have_reasons,
    _rights_have_reasons,
    _variables_are_defined,
    _no_literal_secret,
    _health_is_known,
    _sources_are_named,
    _choices_have_reasons,
    _no_way_out_means_none,
    _data_is_kept_whole,
    _limits_are_sane,
    _names_are_unique,
    _edition_is_declared,
)
