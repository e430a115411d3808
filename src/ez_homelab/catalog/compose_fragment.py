"""An app's compose.yaml, read into one shape: what is the app's own business, and nothing that the platform writes.

Ports, labels, networks, names and restart policies come from rendering; a fragment that has them is refused.
Shorthand (`environment` as a list, `depends_on` as a list, a health check as text) is normalised here.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from ez_homelab.catalog.base import FORMS, AppId, Bytes, EnvName, Model, Seconds, one_or_many

IMAGE = (
    r"^([a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*"  # registry and name
    r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"  # tag
)
USER = r"^([0-9]{1,9}(:[0-9]{1,9})?|\$\{PUID\}:\$\{PGID\})$"
TMPFS = r"^/[^\s:,]{1,200}(:(uid|gid|mode)=[0-9]{1,9}(,(uid|gid|mode)=[0-9]{1,9}){0,2})?$"
FORMS[TMPFS] = "a path such as /tmp, or one with its owner: /run/app:uid=1000,gid=1000,mode=0700"
FORMS[IMAGE] = "an image with a tag: NAME:TAG"
FORMS[USER] = "a numeric user or uid:gid, or ${PUID}:${PGID}"

Propagation = Literal["rslave", "rshared", "rprivate"]
WRITTEN_BY_RENDERING = {
    "ports": "declare `web` or `network.publish` in service.yaml",
    "labels": "they are made from service.yaml",
    "networks": "declare `network.join` in service.yaml",
    "network_mode": "declare `network` and a permission in service.yaml",
    "container_name": "the name comes from the lab",
    "restart": "every service is restarted unless it is stopped on purpose",
    "deploy": "declare `resources` in service.yaml",
    "mem_limit": "declare `resources` in service.yaml",
    "cpus": "declare `resources` in service.yaml",
    "privileged": "declare the capabilities and devices it needs, each with a permission",
    "env_file": "name the variables under `environment`",
    "secrets": "declare `secrets` in service.yaml",
    "configs": "declare `files` in service.yaml",
    "build": "the image's recipe is image/Dockerfile",
    "expose": "containers of one network reach all ports",
    "logging": "logs are kept the same way for every app",
}


_BEGINS_WITH_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}(/.*)?")
_FACT = re.compile(r"[a-z][a-z0-9_]*")
_VOLUME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PROPAGATIONS: tuple[Propagation, ...] = ("rslave", "rshared", "rprivate")


class Mount(Model):
    """One entry of `volumes`.

    `kind` says what `source` is: the name of a volume, a name below `./files/`, the id of a secret (`./secrets/ID`), a
    path of the server, or a path that begins with a variable such as `${MEDIA}`.
    """

    kind: Literal["volume", "file", "secret", "host", "variable"]
    source: str
    target: str
    read_only: bool = False
    propagation: Propagation | None = None


def parse_mount(value: Any) -> Any:
    """The mount in `NAME:/path`, `./files/NAME:/path:ro`, `./secrets/ID:/path:ro`, `/host:/path:ro`, `${MEDIA}:/x`."""
    if not isinstance(value, str):
        raise PydanticCustomError("mount", "is not a mount: write SOURCE:/path or SOURCE:/path:ro")
    source, _, rest = value.partition(":")
    target, _, options = rest.partition(":")
    words = options.split(",") if options else []
    propagation = next((word for word in _PROPAGATIONS if word in words), None)
    if not target.startswith("/") or set(words) - {"ro", "rw", *_PROPAGATIONS}:
        raise PydanticCustomError("mount", "is not a mount: write SOURCE:/path or SOURCE:/path:ro")
    kind, source = _kind_and_source(source)
    return Mount(kind=kind, source=source, target=target, read_only="ro" in words, propagation=propagation)


def _kind_and_source(source: str) -> tuple[Any, str]:
    if ".." in source.split("/"):
        raise PydanticCustomError("mount", "leads out of its folder: `..` is not allowed in a mount")
    if source.startswith("./files/") and len(source) > len("./files/"):
        return "file", source.removeprefix("./files/").rstrip("/")
    if source.startswith("./secrets/") and _FACT.fullmatch(source.removeprefix("./secrets/")):
        return "secret", source.removeprefix("./secrets/")
    if _BEGINS_WITH_VARIABLE.fullmatch(source):
        return "variable", source
    if source.startswith("/"):
        return "host", source
    if source.startswith("."):
        raise PydanticCustomError("mount", "is below neither ./files/ nor ./secrets/, which is all that is mounted")
    if not _VOLUME.fullmatch(source):
        raise PydanticCustomError("mount", "has a source that is neither a path nor the name of a volume")
    return "volume", source


def parse_environment(value: Any) -> Any:
    """A mapping of texts from a mapping of texts and numbers, or from a list of `NAME=value`."""
    if isinstance(value, tuple):
        pairs = [item.partition("=") if isinstance(item, str) else ("", "", "") for item in value]
        if any(not separator for _, separator, _ in pairs):
            raise PydanticCustomError("environment", "holds something that is not NAME=value")
        return {name: text for name, _, text in pairs}
    if not isinstance(value, dict):
        return value
    return {name: str(item) if type(item) in (int, float) else item for name, item in value.items()}


def parse_depends_on(value: Any) -> Any:
    """A mapping service -> condition from either form that Compose knows."""
    if isinstance(value, tuple):
        return dict.fromkeys((item if isinstance(item, str) else "" for item in value), "service_started")
    if isinstance(value, dict):
        return {name: (item or {}).get("condition") if isinstance(item, dict) else item for name, item in value.items()}
    return value


def parse_test(value: Any) -> Any:
    """A health check's command as a list; text is a shell's command, as Compose reads it."""
    if isinstance(value, str):
        return ("CMD-SHELL", value)
    if not isinstance(value, tuple) or len(value) < 2 or value[0] not in ("CMD", "CMD-SHELL"):
        raise PydanticCustomError("test", 'is not a health check: write ["CMD", "program", ...]')
    return value


def refuse_start_interval(value: Any) -> Any:
    """`start_interval` is a hard error before Docker Engine 25 and so nothing that a catalog may use."""
    if isinstance(value, dict) and "start_interval" in value:
        raise PydanticCustomError("start_interval", "has `start_interval`, which is an error before Docker Engine 25")
    return value


_TEXT_OR_LIST = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}

Command = Annotated[str | tuple[str, ...], Field(union_mode="left_to_right"), WithJsonSchema(_TEXT_OR_LIST)]
Environment = Annotated[
    dict[EnvName, str],
    BeforeValidator(parse_environment),
]
Condition = Literal["service_started", "service_healthy", "service_completed_successfully"]


class Healthcheck(Model):
    """How Docker finds out whether a container is well. Times in seconds; None: those of service.yaml's `health`."""

    test: Annotated[tuple[str, ...], BeforeValidator(parse_test), WithJsonSchema(_TEXT_OR_LIST)]
    interval: Seconds | None = None
    timeout: Seconds | None = None
    start_period: Seconds | None = None
    retries: Annotated[int, Field(ge=1, le=100)] | None = None


class ComposeService(Model):
    """One container of the app."""

    image: Annotated[str, StringConstraints(pattern=IMAGE, max_length=300)]
    environment: Environment = Field(default_factory=dict)
    volumes: tuple[Annotated[Mount, BeforeValidator(parse_mount), WithJsonSchema({"type": "string"})], ...] = ()
    healthcheck: Annotated[Healthcheck, BeforeValidator(refuse_start_interval)] | None = None
    depends_on: Annotated[dict[AppId, Condition], BeforeValidator(parse_depends_on)] = Field(default_factory=dict)
    user: Annotated[str, StringConstraints(pattern=USER)] | None = None
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    command: Command | None = None
    entrypoint: Command | None = None
    read_only: bool = False
    tmpfs: Annotated[tuple[Annotated[str, StringConstraints(pattern=TMPFS)], ...], BeforeValidator(one_or_many)] = ()
    shm_size: Bytes | None = None
    pid: Literal["host"] | None = None
    security_opt: tuple[str, ...] = ()
    init: bool = False
    stop_grace_period: Seconds | None = None
    devices: tuple[str, ...] = ()

    @property
    def memory_folders(self) -> tuple[str, ...]:
        """The paths of its folders in memory, without whose they are."""
        return tuple(folder.partition(":")[0] for folder in self.tmpfs)

    @property
    def tag(self) -> str:
        """The image's tag."""
        return self.image.rpartition(":")[2]


class ComposeFragment(Model):
    """compose.yaml. `volumes` names the volumes, so that Docker Compose alone can read the file too."""

    services: Annotated[dict[AppId, ComposeService], Field(min_length=1)]
    volumes: dict[AppId, None] = Field(default_factory=dict)
