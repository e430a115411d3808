"""The parts of service.yaml that say what an app is given: storage, configuration, memory, rights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ez_homelab.catalog.base import AppId, Bytes, BytesOrUnknown, FilePath, FileSource, Model, Owner, Text

VolumeClass = Literal["user_data", "database", "config", "cache", "media_shared"]
OnChange = Literal["recreate", "reload", "watch"]


class Volume(Model):
    """Where the app keeps something, and what kind of thing it is.

    `owner` is who must own the folder where the image does not hand a new volume to the user it runs as.
    """

    name: AppId
    path: FilePath
    volume_class: VolumeClass = Field(alias="class")
    owner: Owner | None = None


class ConfigFile(Model):
    """A file (or, with a `/` at the end, a folder) of configuration that compose.yaml mounts from `./files/`.

    A source that ends in `.j2` is a template; it is mounted without that ending. `rendered: true` says that the
    platform itself writes it and `files/` does not hold it. `on_change` is what makes a new content count: a new
    container, a signal, or nothing because the program watches it. Only folders can be watched: a mounted file that is
    replaced by renaming stays the old one inside the container. `target_user` is who must be able to read a file that
    not everybody may read; without it the file is readable by all.
    """

    source: FileSource
    rendered: bool = False
    on_change: OnChange = "recreate"
    target_user: Owner | None = None

    @property
    def is_folder(self) -> bool:
        """Whether the source names a folder."""
        return self.source.endswith("/")

    @property
    def mounted_as(self) -> str:
        """The name that compose.yaml uses after `./files/`."""
        return self.source.rstrip("/").removesuffix(".j2")


class Memory(Model):
    """Bytes kept free for the app, bytes it never exceeds, and bytes it was measured to need at rest."""

    reserve: Bytes
    limit: Bytes
    measured_idle: BytesOrUnknown = "unknown"


class Cpu(Model):
    """Processor cores."""

    reserve: Annotated[float, Field(gt=0, le=256)] | None = None
    limit: Annotated[float, Field(gt=0, le=256)]


class Pids(Model):
    """Processes and threads together."""

    limit: Annotated[int, Field(ge=1, le=100_000)] = 256


class Io(Model):
    """Share of the disk while others want it too, 10 to 1000 (Docker's `blkio-weight`; 500 is Docker's middle)."""

    weight: Annotated[int, Field(ge=10, le=1000)] = 500


class Disk(Model):
    """Bytes the installed app takes on disk, its data not counted."""

    install: BytesOrUnknown = "unknown"


class Limits(Model):
    """What one container may use."""

    memory: Memory
    cpu: Cpu
    pids: Pids = Pids()
    io: Io = Io()


class Resources(Limits):
    """What each container of the app may use; `services` holds the containers that need other figures."""

    disk: Disk = Disk()
    gpu: Literal["none", "optional", "required"] = "none"
    services: dict[AppId, Limits] = Field(default_factory=dict)


class Permission(Model):
    """A right beyond those of an ordinary container, and why the app cannot do without it.

    `what` names the path, the capability, the device or the container it is about; None: the whole app.
    """

    permission: Literal[
        "root", "docker_socket", "docker_socket_proxy", "host_path", "host_network", "host_pid", "privileged",
        "devices", "net_admin", "capability",
    ]  # fmt: skip
    what: Text | None = None
    reason: Text
