"""The parts of service.yaml that say what an app asks at install, and how it is kept well afterwards."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ez_homelab.catalog.base import AppId, Bytes, EnvName, FactId, HttpStatuses, Model, Seconds, Text, UrlPath

InputType = Literal[
    "text", "password", "email", "number", "boolean", "select", "path", "domain", "url", "timezone"
]  # fmt: skip


class InputCheck(Model):
    """What must hold for an answer. `min_free` is in bytes."""

    exists: bool = False
    writable: bool = False
    min_free: Bytes = 0
    pattern: Text | None = None


class Input(Model):
    """A question asked at install. `options` are the choices of a `select`."""

    id: FactId
    type: InputType
    label: Text
    help: Text | None = None
    default: str | int | float | bool | None = None
    required: bool = False
    env: EnvName | None = None
    options: tuple[Text, ...] = ()
    check: InputCheck = Field(default=InputCheck(), alias="validate")


class Rotation(Model):
    """How a new value of a secret comes into force.

    `recreate`: every container that is given it is made anew. `command`: before that, the program is run in `service`
    with the new value as the one line on its standard input; it must be fit to run twice. `never` has a reason.
    """

    how: Literal["recreate", "command", "never"] = "recreate"
    service: AppId | None = None
    command: tuple[Text, ...] = ()
    reason: Text | None = None


class Secret(Model):
    """A value that is generated once and stays over updates and restores; or `given`: a person's, empty until then.

    It reaches a container as the variable `env` that its `environment` uses, or, where the image takes `*_FILE`
    variables, as the file that it mounts by `./secrets/<id>:/run/secrets/<id>:ro`.
    """

    id: FactId
    env: EnvName | None = None
    length: Annotated[int, Field(ge=16, le=256)] = 32
    charset: Literal["alnum", "hex", "base64url"] = "alnum"
    rotate: Rotation = Rotation()
    given: bool = False


class Credentials(Model):
    """How a person signs in for the first time."""

    mode: Literal["first_user_is_admin", "generated", "fixed", "none"] = "none"
    username: Text | None = None


class Dump(Model):
    """A database that is written out as text before its files are backed up."""

    engine: Literal["postgres", "mariadb", "mysql", "sqlite", "mongodb", "redis"]
    service: AppId
    database: Text | None = None
    secret: FactId | None = None


class RestoreCheck(Model):
    """What must answer after a restore."""

    path: UrlPath
    expect_status: HttpStatuses = (200,)


class Backup(Model):
    """What is kept. `include` None: every volume but those of class `cache` and `media_shared`.

    `consistency: live` copies files of a running app and fits plain files only. `rpo` is how much work may be lost
    (seconds).
    """

    include: tuple[AppId, ...] | None = None
    exclude: tuple[Text, ...] = ()
    consistency: Literal["dump", "stop", "live"] = "stop"
    dumps: tuple[Dump, ...] = ()
    rpo: Seconds = 86400
    restore_check: RestoreCheck | None = None


class Health(Model):
    """What the app answers when it is well, and the times of its health checks (seconds).

    The times count for every health check in compose.yaml that names none of its own.
    """

    path: UrlPath = "/"
    expect_status: HttpStatuses = (200,)
    start_period: Seconds = 30
    interval: Seconds = 30
    timeout: Seconds = 5
    retries: Annotated[int, Field(ge=1, le=100)] = 3


class Update(Model):
    """How new versions come in. `manual_images` are containers whose image only a person changes."""

    policy: Literal["none", "patch", "minor", "major"] = "minor"
    manual_images: tuple[AppId, ...] = ()
    strategy: Literal["recreate", "stack"] = "recreate"
    rollback: tuple[Literal["image", "data"], ...] = ("image",)
    soak: Seconds = 600


class Upgrade(Model):
    """A declared fact about one jump between versions."""

    from_version: Text = Field(alias="from")
    to_version: Text = Field(alias="to")
    breaking: bool = False
    via: Text | None = None
    notes: Text | None = None
    needs: Literal["manual", "dump", "nothing"] = "nothing"


class Hooks(Model):
    """Scripts of the app's folder. Each must be fit to run twice; its failure fails the operation."""

    pre_backup: Text | None = None
    post_install: Text | None = None
    post_restore: Text | None = None


class Placement(Model):
    """On which servers the app feels at home."""

    prefer: Literal["any", "core", "remote"] = "any"
    needs: tuple[Text, ...] = ()
    colocate_with: tuple[AppId, ...] = ()
