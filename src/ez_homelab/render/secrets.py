"""How an app is given its secrets: as files of their own, or as variables in the stack's `.env`; never in compose.yaml.

Both are readable by nobody but root and the container's own user.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ez_homelab.render.desired import STACKS_FOLDER, DesiredFile
from ez_homelab.secrets.needs import Need

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from ez_homelab.render.desired import Desired
    from ez_homelab.render.instance import Instance
    from ez_homelab.secrets.value import Secret


@dataclass(frozen=True, slots=True)
class DueRotation:
    """A secret with a new value that `container` has to be told, by running `command` with it as its input."""

    server: str
    stack: str
    app: str
    id: str
    container: str
    command: tuple[str, ...]
    value: Secret

    @property
    def name(self) -> str:
        """The secret as people name it."""
        return f"{self.app}/{self.id}"


FOLDER = "secrets"
"""Where the files lie, below the stack's folder: a folder for each container, because containers have users."""


def needs(instances: Iterable[Instance]) -> Iterator[Need]:
    """Every secret that has to be made before the lab can be rendered; those that people give are not among them."""
    for instance in instances:
        for secret in instance.app.manifest.secrets:
            if secret.given:
                continue
            yield Need(instance.name, secret.id, secret.length, secret.charset)


def variables(instance: Instance) -> dict[str, str]:
    """The secrets that reach the app as variables, as they stand in `.env`."""
    return {
        instance.variable(secret.env): _value(instance, secret.id)
        for secret in instance.app.manifest.secrets
        if secret.env
    }


def with_own_variables(instance: Instance, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with the app's own names of its secrets replaced by those that `.env` has."""
    names = {secret.env: instance.variable(secret.env) for secret in instance.app.manifest.secrets if secret.env}
    if not names:
        return dict(environment)
    used = re.compile(rf"(?<!\$)\$\{{({'|'.join(map(re.escape, names))})\}}")
    return {key: used.sub(lambda found: f"${{{names[found[1]]}}}", text) for key, text in environment.items()}


def files(instance: Instance, service: str) -> list[DesiredFile]:
    """The secrets that a container reads as files, owned by the user that it runs as."""
    source = instance.app.compose.services[service]
    uid, gid = _owner(source.user)
    folder = f"{STACKS_FOLDER}/{instance.stack}/{FOLDER}/{instance.container(service)}"
    return [
        DesiredFile(f"{folder}/{mount.source}", _value(instance, mount.source).encode(), 0o600, uid, gid)
        for mount in source.volumes
        if mount.kind == "secret"
    ]


def _value(instance: Instance, secret_id: str) -> str:
    """The value; empty for one that nobody has given yet."""
    given = {secret.id for secret in instance.app.manifest.secrets if secret.given}
    if secret_id in given and secret_id not in instance.secrets:
        return ""
    return instance.secrets[secret_id].reveal()


def with_values_of_now(desired: Desired, instances: Iterable[Instance]) -> Desired:
    """What a generation had, with the secrets of now: a database keeps its password when its app goes back."""
    values: dict[str, bytes] = {}
    variables_now: dict[str, str] = {}
    for instance in instances:
        if instance.secrets:
            variables_now |= variables(instance)
            for service in instance.app.compose.services:
                values |= {file.path: file.content for file in files(instance, service)}
    servers = {
        name: replace(server, files=tuple(_of_now(file, values, variables_now) for file in server.files))
        for name, server in desired.servers.items()
    }
    return replace(desired, servers=servers)


def _of_now(file: DesiredFile, values: Mapping[str, bytes], named: Mapping[str, str]) -> DesiredFile:
    if file.path.endswith("/.env"):
        lines = file.content.decode().splitlines()
        names = [line.partition("=")[0] for line in lines]
        now = [f"{name}='{named[name]}'" if name in named else line for name, line in zip(names, lines, strict=True)]
        return replace(file, content="\n".join([*now, ""]).encode())
    return replace(file, content=values.get(file.path, file.content))


def readers(instance: Instance, secret_id: str) -> tuple[str, ...]:
    """The containers that are given the secret."""
    name = next((secret.env for secret in instance.app.manifest.secrets if secret.id == secret_id), None)
    return tuple(
        instance.container(service)
        for service, source in instance.app.compose.services.items()
        if any(mount.kind == "secret" and mount.source == secret_id for mount in source.volumes)
        or (name and any(f"${{{name}}}" in text for text in source.environment.values()))
    )


def rotations(instances: Iterable[Instance], pending: Container[tuple[str, str]]) -> Iterator[DueRotation]:
    """The secrets among the pending ones whose apps must be told more than a new container tells them."""
    for instance in instances:
        for secret in instance.app.manifest.secrets:
            how = secret.rotate
            if how.how == "command" and how.service and (instance.name, secret.id) in pending:
                container, value = instance.container(how.service), instance.secrets[secret.id]
                yield DueRotation(
                    instance.server, instance.stack, instance.name, secret.id, container, how.command, value
                )


def _owner(user: str | None) -> tuple[int, int]:
    """A container without a numeric user runs as root, or starts as root and reads its secrets then."""
    if not user or "$" in user:
        return 0, 0
    uid, _, gid = user.partition(":")
    return int(uid), int(gid or uid)
