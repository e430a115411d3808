"""A lab as everything behind the door sees it: one shape, whatever shorthand the file used; nothing in it changes.

`ez_homelab.config.load.load_lab` makes these. Names, paths and the domain in them were checked: they are safe in file
names, host names, labels and Compose keys. Values of `environment` are single lines of printable text, but may hold
`$`, quotes and anything else, literally: whoever writes them into a Compose file has to escape `$`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.route import Access, Clients, Policy

CORE = "core"
"""The one server that answers for the domain, and the stack on it that this tool fills (Traefik and its parts)."""

MIRROR = "mirror"
"""The app and the stack of the lab's own image registry, which labs have that build their images."""

ImageSource = Literal["registry", "packages"]

SignOnEngine = Literal["builtin", "authelia"]

OnDemandEngine = Literal["builtin", "sablier"]

SleepMode = Literal["stop", "off"]
"""Whether an app sleeps while nobody uses it: its containers are stopped, or it never does."""

LAN = (
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8"),
    *("fc00::/7", "fe80::/10", "::1/128"),
)
"""The networks that nobody on the internet is in: RFC 1918, RFC 4193, link-local and loopback addresses."""


@dataclass(frozen=True, slots=True)
class User:
    """Whom apps run as, where their image takes it. `umask` is octal text such as `022`."""

    puid: int = 1000
    pgid: int = 1000
    umask: str = "022"


@dataclass(frozen=True, slots=True)
class Paths:
    """Where large data lies: absolute, normalised. `data` is set where the lab names one folder for both."""

    media: str = "/mnt/media"
    downloads: str = "/mnt/downloads"
    data: str | None = None


@dataclass(frozen=True, slots=True)
class Images:
    """Where images come from: pulled from a registry, or built from packages on the server.

    `mirror` (`HOST[:PORT][/PREFIX]`) is asked instead of the registries that apps' images name; None: those themselves.
    """

    source: ImageSource = "registry"
    mirror: str | None = None


@dataclass(frozen=True, slots=True)
class Smtp:
    """The mail server through which messages go. `username` empty: it asks for none, and for no password."""

    address: str
    sender: str
    username: str = ""


@dataclass(frozen=True, slots=True)
class SignOnSettings:
    """Which program asks for the password, and which networks count as the lab's own (CIDR, normalised).

    `smtp` is None in a lab that sends no mail.
    """

    engine: SignOnEngine = "builtin"
    lan: tuple[str, ...] = LAN
    smtp: Smtp | None = None


@dataclass(frozen=True, slots=True)
class OnDemandSettings:
    """Which program wakes apps that sleep."""

    engine: OnDemandEngine = "builtin"


@dataclass(frozen=True, slots=True)
class Server:
    """A machine that runs stacks. `address` is the IPv4 address its entrypoints bind."""

    name: str = CORE
    address: str = "127.0.0.1"
    role: Literal["core"] = "core"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that replace the app's own: `memory` as in Compose (`512M`), `cpus` as decimal text (`1.5`)."""

    memory: str | None = None
    cpus: str | None = None


@dataclass(frozen=True, slots=True)
class LazySettings:
    """How the app sleeps; what is None the lab does not say. Durations as in the catalog (`30m`), hours normalised."""

    mode: SleepMode | None = None
    idle: str | None = None
    timeout: str | None = None
    group: str | None = None
    awake: tuple[str, ...] | None = None
    clients: Clients | None = None


@dataclass(frozen=True, slots=True)
class AppInstance:
    """One app of the catalog as it runs in this lab. `name` is unique in the lab; `app` is the catalog's id.

    What is None the lab does not say: the app's own applies. `bypass` maps the paths that are open to why they are.
    """

    name: str
    app: str
    subdomain: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    access: Access | None = None
    policy: Policy | None = None
    groups: tuple[str, ...] | None = None
    bypass: Mapping[str, str] | None = None
    lazy: LazySettings = LazySettings()


@dataclass(frozen=True, slots=True)
class Stack:
    """Apps that share one Compose project on one server, in the order of the file."""

    name: str
    server: str = CORE
    apps: tuple[AppInstance, ...] = ()


@dataclass(frozen=True, slots=True)
class Lab:
    """A whole lab."""

    domain: str
    timezone: str = "Etc/UTC"
    user: User = User()
    paths: Paths = Paths()
    images: Images = Images()
    sign_on: SignOnSettings = SignOnSettings()
    on_demand: OnDemandSettings = OnDemandSettings()
    servers: tuple[Server, ...] = (Server(),)
    stacks: tuple[Stack, ...] = ()

    @property
    def instances(self) -> tuple[AppInstance, ...]:
        """Every app in the lab, in the order of the file."""
        return tuple(app for stack in self.stacks for app in stack.apps)

    @property
    def core(self) -> Server:
        """The server that answers for the domain."""
        return next(server for server in self.servers if server.role == "core")

    def stacks_on(self, server: str) -> tuple[Stack, ...]:
        """The stacks that run on the named server, in the order of the file."""
        return tuple(stack for stack in self.stacks if stack.server == server)
