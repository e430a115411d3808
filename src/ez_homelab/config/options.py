"""Every option of homelab.yaml, once: kind, default, description, example.

Reading (reading.py), the editors' schema and the reference page (schema.py) all come from `LAB`. A kind says what a
value may look like; what options mean together (unique names, known apps) is load.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ez_homelab.config import hours, rules
from ez_homelab.config.model import CORE, Images, Lab, OnDemandSettings, Paths, Server, SignOnSettings, User
from ez_homelab.route import bypass_path_complaint

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text. `pattern` is for editors and never stricter than `check`.

    With `numbers`, an unquoted number, boolean or null is taken as it stands in the file.
    """

    pattern: str
    check: Callable[[str], rules.Complaint | None]
    maximum: int = 200
    numbers: bool = False
    clean: Callable[[str], str] = str


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within bounds."""

    lowest: int
    highest: int


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values, each with what it means."""

    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Version:
    """The number 1."""


@dataclass(frozen=True, slots=True)
class Group:
    """A mapping with fixed keys. `word` names one in messages."""

    options: tuple[Option, ...]
    word: str


@dataclass(frozen=True, slots=True)
class Short:
    """A group; or, shorter, the value of one of its options."""

    full: Group
    option: str

    @property
    def kind(self) -> Kind:
        """The kind of the short form."""
        return next(option.kind for option in self.full.options if option.name == self.option)


@dataclass(frozen=True, slots=True)
class Named:
    """A mapping whose keys a person chooses. `label` stands for the key on the reference page."""

    key: Text
    value: Text | Group | Stack
    label: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A list."""

    item: Text


@dataclass(frozen=True, slots=True)
class Apps:
    """A mapping from name to settings; or, shorter, a list of names and of mappings with one name each."""

    key: Text
    value: Group
    label: str


@dataclass(frozen=True, slots=True)
class Stack:
    """A group; or, shorter, its apps alone, as a list."""

    full: Group
    apps: Apps


Kind = Text | Whole | Choice | Version | Group | Short | Named | Listed | Apps | Stack


@dataclass(frozen=True, slots=True)
class Option:
    """One key of the file. `default` and `example` are values as YAML would have them.

    `otherwise` says in words what holds without the option, where no value could.
    """

    name: str
    kind: Kind
    description: str
    default: object = None
    example: object = None
    required: bool = False
    otherwise: str = ""


_NAME = Text(f"^{rules.NAME_PATTERN}$", rules.name, rules.NAME_LENGTH)
_STACK_NAME = Text(f"^{rules.NAME_PATTERN}$", rules.stack_name, rules.NAME_LENGTH)
_FOLDER = Text("^/", rules.folder, clean=rules.normalised_path)

USER = Group(
    (
        Option("puid", Whole(1, 2**31 - 1), "User id (never 0).", User().puid, 1000),
        Option("pgid", Whole(1, 2**31 - 1), "Group id (never 0).", User().pgid, 1000),
        Option(
            "umask",
            Text("^0[0-7]{2}$", rules.umask, numbers=True),
            "Rights that new files lack, octal.",
            User().umask,
            "002",
        ),
    ),
    "user",
)

PATHS = Group(
    (
        Option(
            "data",
            _FOLDER,
            "One folder for both, as `media` and `downloads` below it: on one file system, so that files move between "
            "them by hard link. Instead of the two below.",
            example="/mnt/data",
        ),
        Option("media", _FOLDER, "Films, music, photos, books.", Paths().media, "/mnt/media"),
        Option("downloads", _FOLDER, "What download programs fetch.", Paths().downloads, "/mnt/downloads"),
    ),
    "paths",
)

IMAGES = Group(
    (
        Option(
            "source",
            Choice(
                {
                    "registry": "pulled from a registry, by the tag that the catalog names",
                    "packages": "built on the server from Debian, PyPI and npm packages",
                }
            ),
            "Where images come from.",
            Images().source,
            "packages",
        ),
        Option(
            "mirror",
            Text(r"^[A-Za-z0-9]", rules.mirror),
            "A registry to pull from instead of those that apps' images name, as `HOST[:PORT][/PREFIX]`: "
            "`docker.io/x/y` is `MIRROR/x/y` there, what is on any other registry has that registry's name in front. "
            "`ez-homelab images copy` fills one.",
            example="registry.lan:5000",
            otherwise="each image's own registry",
        ),
    ),
    "images",
)

SERVER = Group(
    (
        Option(
            "address",
            Text("^[0-9]", rules.address),
            "The server's own IPv4 address that ports 80 and 443 are bound to: its address in the home network where "
            "other machines are to reach the apps. Never `0.0.0.0`.",
            Server().address,
            "192.168.1.10",
        ),
    ),
    "server",
)

SMTP = Group(
    (
        Option(
            "address",
            Text("^(smtp|submissions?)://", rules.mail_server),
            "The mail server: `submissions://HOST` (TLS, port 465), `submission://HOST` (STARTTLS, port 587) or "
            "`smtp://HOST` (STARTTLS, port 25), with `:PORT` where it is another one.",
            example="submissions://smtp.example.org",
            required=True,
        ),
        Option(
            "sender",
            Text("@", rules.mail_sender),
            "From whom the messages are: `ADDRESS`, or `NAME <ADDRESS>`.",
            example="Homelab <homelab@example.org>",
            required=True,
        ),
        Option(
            "username",
            Text("", rules.mail_user),
            "Who signs in to the mail server. The password is a secret that you give: "
            "`ez-homelab secrets set authelia/smtp_password`.",
            example="homelab@example.org",
            otherwise="nobody: the server takes mail without",
        ),
    ),
    "smtp",
)

SIGN_ON = Group(
    (
        Option(
            "engine",
            Choice(
                {
                    "builtin": "the gate that comes with EZ-Homelab: one small container, nothing else needed",
                    "authelia": "Authelia, which is an OpenID Connect provider too",
                }
            ),
            "Which program asks for the password in front of every app.",
            SignOnSettings().engine,
            "builtin",
        ),
        Option(
            "lan",
            Listed(Text("^[0-9a-fA-F:]", rules.network, clean=rules.normalised_network)),
            "The networks that are the lab's own, as `ADDRESS/PREFIX`: apps with `access: lan` answer there alone.",
            example=["192.168.1.0/24"],
            otherwise="every private, link-local and loopback network",
        ),
        Option(
            "smtp",
            SMTP,
            "The mail server through which Authelia sends links and codes. Without it they are written into a file, "
            "which `ez-homelab users code` reads. The gate sends no mail.",
        ),
    ),
    "sign_on",
)

ON_DEMAND = Group(
    (
        Option(
            "engine",
            Choice(
                {
                    "builtin": "the waker that comes with EZ-Homelab: an app that is awake costs what any other costs, "
                    "and whoever asks for one that sleeps gets its answer",
                    "sablier": "Sablier, which is asked about every request",
                }
            ),
            "Which program wakes the apps that sleep, and puts them to sleep.",
            OnDemandSettings().engine,
            "builtin",
        ),
    ),
    "on_demand",
)

LAZY = Group(
    (
        Option(
            "mode",
            Choice(
                {
                    "stop": "while nobody uses it, its containers are stopped; the first request starts them again",
                    "off": "it never sleeps",
                }
            ),
            "Whether it sleeps.",
            example="stop",
            otherwise="the app's own",
        ),
        Option(
            "idle",
            Text("^[0-9]", rules.idle),
            "How long nobody has to use it before it falls asleep, from 1s to 30d. Downloads and open connections are "
            "use, however long they take.",
            example="15m",
            otherwise="the app's own",
        ),
        Option(
            "timeout",
            Text("^[0-9]", rules.start_timeout),
            "How long its start may take, from 1s to 1h; what takes longer has failed.",
            example="2m",
            otherwise="the app's own",
        ),
        Option(
            "group",
            _NAME,
            "What it sleeps and wakes with: apps that name the same group. The longest `idle` of the group and the "
            "hours of all of it hold for each. They start one after the other, so their `timeout`s are added up.",
            example="office",
            otherwise="the app's own, which is mostly the app alone",
        ),
        Option(
            "awake",
            Listed(Text("[0-9]", hours.complaint, clean=hours.normalised)),
            "Hours in which it is kept awake, in the lab's time zone: `DAYS FROM-UNTIL`, or `FROM-UNTIL` for every "
            "day. An end that is not later than the beginning lies on the next day.",
            example=["Mon-Fri 08:00-18:00", "Sat,Sun 22:00-02:00"],
            otherwise="none",
        ),
        Option(
            "clients",
            Choice(
                {
                    "hold": "its request waits until the app answers",
                    "503": "503 with `Retry-After`, and the app is woken",
                }
            ),
            "What a program gets that asks while the app sleeps. A browser gets a page that shows how the start goes.",
            example="503",
            otherwise="`hold`",
        ),
    ),
    "lazy",
)

LIMITS = Group(
    (
        Option(
            "memory",
            Text("^[1-9][0-9]{0,6}[KMGkmg]$", rules.memory, clean=str.upper),
            "Most memory the app's containers may use each, from 16M to 1024G.",
            example="512M",
            otherwise="the app's own",
        ),
        Option(
            "cpus",
            Text(r"^[0-9]{1,3}(\.[0-9]{1,3})?$", rules.cpus, numbers=True),
            "Most processors the app's containers may use each, from 0.05 to 256.",
            example=1.5,
            otherwise="the app's own",
        ),
    ),
    "limits",
)

APP = Group(
    (
        Option("app", _NAME, "The catalog's id of the app.", example="prometheus", otherwise="the name it has here"),
        Option(
            "subdomain",
            Text(f"^{rules.LABEL_PATTERN}$", rules.subdomain, rules.NAME_LENGTH),
            "The first part of its address, `https://<subdomain>.<domain>`.",
            example="notes",
            otherwise="the app's own",
        ),
        Option(
            "environment",
            Named(
                Text("^[A-Za-z_][A-Za-z0-9_]*$", rules.variable, 100),
                Text("", rules.value, 4096, numbers=True),
                "VARIABLE",
            ),
            "Variables added to those of the app, for its main service. Values are taken as they stand: `$` is not "
            "replaced by anything. Names that look like a secret are refused.",
            example={"LOG_LEVEL": "debug"},
        ),
        Option("limits", LIMITS, "Bounds that replace the app's own."),
        Option(
            "policy",
            Choice(
                {
                    "bypass": "everybody, without sign-on",
                    "one_factor": "whoever signed in",
                    "two_factor": "whoever signed in and showed a second factor",
                    "deny": "nobody",
                }
            ),
            "Who may open it.",
            example="two_factor",
            otherwise="the app's own, which is `one_factor` unless its catalog folder says otherwise",
        ),
        Option(
            "groups",
            Listed(_NAME),
            "Only who is in one of these groups may open it; an empty list stands for whoever may sign in.",
            example=["family"],
            otherwise="the app's own",
        ),
        Option(
            "access",
            Choice(
                {
                    "public": "from everywhere that reaches the server",
                    "lan": "from the networks of `sign_on.lan` alone",
                }
            ),
            "From where it may be opened.",
            example="lan",
            otherwise="the app's own",
        ),
        Option(
            "bypass",
            Named(
                Text("^/", bypass_path_complaint),
                Text("", rules.reason),
                "path",
            ),
            "Paths that are answered without sign-on, each with the reason; with `/` at its end a path stands for "
            "everything below it. Instead of the app's own; `{}` for none.",
            example={"/api/hooks/": "a service on the web calls it with a key of its own"},
            otherwise="the app's own",
        ),
        Option(
            "lazy",
            Short(LAZY, "mode"),
            "How it sleeps while nobody uses it. Shorter, as a word: its `mode`.",
            example="stop",
        ),
    ),
    "app",
)

APPS = Apps(_NAME, APP, "app")

STACK = Group(
    (
        Option("server", Text(f"^{rules.NAME_PATTERN}$", rules.name), "The server it runs on.", CORE, CORE),
        Option(
            "apps",
            APPS,
            "Its apps by name; a name is unique in the lab. Without settings the name is enough, so a list will do.",
            example={"prometheus": {}, "metrics2": {"app": "prometheus"}},
            required=True,
        ),
    ),
    "stack",
)

LAB = Group(
    (
        Option("version", Version(), "The format of this file.", example=1, required=True),
        Option(
            "domain",
            Text(f"^{rules.LABEL_PATTERN}(\\.{rules.LABEL_PATTERN})+$", rules.domain),
            "Apps answer at `https://<app>.<domain>`. For now a local domain: below "
            + ", ".join(f"`{suffix}`" for suffix in rules.LOCAL_SUFFIXES)
            + ".",
            example="lab.localhost",
            required=True,
        ),
        Option(
            "timezone", Text("^[A-Za-z]", rules.timezone), "Time zone of all apps.", Lab("").timezone, "Europe/Berlin"
        ),
        Option("user", USER, "Whom apps run as, where their image takes it."),
        Option("paths", PATHS, "Where large data lies. The folders must exist."),
        Option("images", IMAGES, "Where programs come from."),
        Option("sign_on", SIGN_ON, "The sign-on that stands in front of every app."),
        Option("on_demand", ON_DEMAND, "What wakes apps that sleep while nobody uses them."),
        Option(
            "servers",
            Named(Text(f"^{CORE}$", rules.server_name), SERVER, "server"),
            "The machines. This version runs one, `core`.",
            example={"core": {"address": "127.0.0.1"}},
            otherwise="`core` alone",
        ),
        Option(
            "stacks",
            Named(_STACK_NAME, Stack(STACK, APPS), "stack"),
            "Apps by stack: what shares a Compose project. A list of apps is short for `apps`.",
            example={"wiki": ["dokuwiki"]},
        ),
        Option(
            "include",
            Listed(Text(r"\.ya?ml$", rules.include)),
            "More files of this form, relative to this one, inside the lab folder. Servers and stacks add up; any "
            "other key may be set once.",
            example=["media.yaml"],
        ),
    ),
    "lab",
)
