"""What each kind of text in a lab file may be. A rule returns what is wrong and what to do instead, or None."""

from __future__ import annotations

import difflib
import ipaddress
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ez_homelab.config.public_suffix import is_public_suffix
from ez_homelab.durations import seconds_of
from ez_homelab.yaml_text import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ez_homelab.config.model import OnDemandEngine, SignOnEngine

Complaint = tuple[str, str]
"""What is wrong, and what to do instead (may be empty)."""

LOCAL_SUFFIXES = ("localhost", "home.arpa", "internal", "lan", "test", "home")
"""Domains that no public authority hands out: RFC 6761 (localhost, test), RFC 8375 (home.arpa), ICANN's resolution
2024.07.29.06 (internal); lan and home are not delegated and in common use at home."""

RESERVED_SUBDOMAINS = ("auth", "core", "traefik")
CORE_APPS = ("docker-socket-proxy", "traefik")
"""What every server has in front of its apps."""
SIGN_ON_APPS: Mapping[SignOnEngine, tuple[str, ...]] = {"builtin": ("gate",), "authelia": ("authelia",)}
"""The apps that each engine of sign-on needs on the core server; the first answers at the portal's name."""
WAKER = "waker"
"""The app of the built-in engine that puts apps to sleep, and its container."""
ON_DEMAND_APPS: Mapping[OnDemandEngine, tuple[str, ...]] = {
    "builtin": (WAKER,),
    "sablier": ("sablier", "docker-control-proxy"),
}
"""The apps that each engine of sleep needs on a server where something sleeps; Traefik asks the first."""
_ENGINES_APPS = (*SIGN_ON_APPS.values(), *ON_DEMAND_APPS.values())
OWN_STACKS = {
    **dict.fromkeys((*CORE_APPS, *(app for apps in _ENGINES_APPS for app in apps)), "core"),
    "mirror": "mirror",
}
"""Apps that labs have without naming them, and the stacks in which they are."""
SYSTEM_FOLDERS = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/opt/stacks", "/proc", "/root", "/run", "/sbin", "/sys"),
    *("/tmp", "/usr", "/var/lib/docker", "/var/lib/ez-homelab"),  # noqa: S108
)

NAME_PATTERN = "[a-z][a-z0-9]*(-[a-z0-9]+)*"
NAME_LENGTH = 40
LABEL_PATTERN = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_NAME = re.compile(NAME_PATTERN)
_LABEL = re.compile(LABEL_PATTERN)
_MIRROR = re.compile(r"(?P<host>[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:(?P<port>[0-9]{1,5}))?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_MAIL_SERVER = re.compile(r"(smtp|submissions?)://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:(?P<port>[0-9]{1,5}))?")
_MAIL_ADDRESS = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"
_MAIL_SENDER = re.compile(rf"{_MAIL_ADDRESS}|[A-Za-z0-9 '_-]{{1,60}} <{_MAIL_ADDRESS}>")
_PATH_PART = re.compile(r"[A-Za-z0-9._@+-]+( [A-Za-z0-9._@+-]+)*")
_SECRET_NAME = re.compile(
    "PASSWORD|PASSWD|PASSPHRASE|PASSCODE|TOKEN|SECRET|CREDENTIAL|(API|PRIVATE|ACCESS|ENCRYPTION|SIGNING)_?KEY"
)
_CREDENTIALS_IN_URL = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
_MEMORY = re.compile("([1-9][0-9]{0,6})([KMG])")
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """`did you mean ...?` for the known word that is nearest to the text, or nothing."""
    near = difflib.get_close_matches(text[:60], list(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else ""


def name(text: str) -> Complaint | None:
    """Names of stacks and apps: safe as file name, DNS label, container name and Compose key."""
    if len(text) <= NAME_LENGTH and _NAME.fullmatch(text):
        return None
    slug = re.sub("[^a-z0-9]+", "-", text.lower()).strip("-")
    suggestion = f"write `{slug}`" if len(slug) <= NAME_LENGTH and _NAME.fullmatch(slug) else ""
    rule = f"lower-case letters, digits and single hyphens, a letter first, at most {NAME_LENGTH} characters"
    return f"`{shown(text)}` is no name: {rule}", suggestion


def stack_name(text: str) -> Complaint | None:
    """A name that is none of the stacks which this tool fills itself."""
    if text in OWN_STACKS.values():
        own = ", ".join(app for app, stack in OWN_STACKS.items() if stack == text)
        return f"stack `{text}` is written by this tool: {own}", "choose another name"
    return name(text)


def subdomain(text: str) -> Complaint | None:
    """One DNS label that the tool itself does not need."""
    if len(text) > NAME_LENGTH or not _LABEL.fullmatch(text):
        rule = f"lower-case letters, digits and hyphens, no dot, at most {NAME_LENGTH} characters"
        return f"`{shown(text)}` is no sub-domain: {rule}", ""
    if text in RESERVED_SUBDOMAINS:
        return f"sub-domain `{text}` is kept for the lab itself", "choose another one"
    return None


def domain(text: str) -> Complaint | None:
    """A local domain of at least two labels that is not itself shared by everyone."""
    labels = text.split(".")
    if len(text) > 200 or not all(len(label) <= 63 and _LABEL.fullmatch(label.lower()) for label in labels):
        return f"`{shown(text)}` is no domain name", "write one such as `lab.localhost`"
    if labels[-1].isdigit():
        return f"`{text}` is an address, not a domain name", "write one such as `lab.localhost`"
    if text != text.lower():
        return f"domain `{text}` has capital letters", f"write `{text.lower()}`"
    if text in LOCAL_SUFFIXES or len(labels) == 1:
        suffix = text if text in LOCAL_SUFFIXES else f"{text}.localhost"
        instead = f"lab.{suffix}" if text in LOCAL_SUFFIXES else suffix
        return f"domain `{text}` has no name of its own in front", f"write `{instead}`"
    if not text.endswith(tuple(f".{suffix}" for suffix in LOCAL_SUFFIXES)):
        if is_public_suffix(text):
            reason = "strangers have names below it too, so browsers take no sign-in cookie for it"
            return f"domain `{text}` is on the public suffix list: {reason}", "use a local one such as `lab.localhost`"
        reason = "public certificates come with a later version"
        return f"domain `{text}` is a public name: {reason}", "use a local one such as `lab.localhost`"
    return None


def address(text: str) -> Complaint | None:
    """One IPv4 address that a server can have."""
    suggestion = "write the server's own address, such as `192.168.1.10`; `ip -4 address` shows it"
    try:
        value = ipaddress.ip_address(text)
    except ValueError:
        return f"`{shown(text)}` is no IP address", suggestion
    if value.version == 6:
        # Measured with Docker's userland proxy: through [::] the bridge's gateway is what apps see.
        reason = "through IPv6 Docker hides where a request comes from, which sign-on has to know"
        return f"address `{shown(text)}` is refused: {reason}", suggestion
    if value.is_unspecified:
        reason = "it stands for every network the server is in, also for those that it joins later"
        return f"address `{text}` is refused: {reason}", suggestion
    if value.is_multicast or value.is_reserved or value in _THIS_NETWORK:
        return f"address `{text}` is none that a server can have", suggestion
    return None


def network(text: str) -> Complaint | None:
    """A network in CIDR notation, or one address; not all addresses that there are."""
    try:
        value = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return f"`{shown(text)}` is no network", "write one such as `192.168.1.0/24`"
    if value.prefixlen == 0:
        return f"network `{text}` is every address that there is", "say `access: public` for an app that may be reached"
    if "/" in text and str(value.network_address) != text.partition("/")[0].lower():
        return f"`{text}` is an address in a network", f"write `{value}`"
    return None


def normalised_network(text: str) -> str:
    """The network as everybody writes it: one address has its prefix too."""
    return str(ipaddress.ip_network(text))


def reason(text: str) -> Complaint | None:
    """One printable line that says something."""
    if text.strip() and len(text) <= 200 and text.isprintable():
        return None
    return "the reason is not one line of printable text of at most 200 characters", "say what needs the path"


def server_name(text: str) -> Complaint | None:
    """`core`: the only server that this version knows."""
    if text == "core":
        return None
    return f"server `{shown(text)}`: servers other than `core` come with a later version", "remove it"


def folder(text: str) -> Complaint | None:
    """An absolute path that is not part of the system and needs no quoting in a Compose file."""
    if not text.startswith("/"):
        return f"path `{shown(text)}` is not absolute", "start it with `/`"
    parts = text.strip("/").split("/")
    if ".." in parts:
        return f"path `{shown(text)}` contains `..`", "write where it leads to"
    wrong = next((part for part in parts if part and not _PATH_PART.fullmatch(part)), None)
    if wrong is not None or len(text) > 200:
        rule = "letters, digits, inner spaces and `._@+-`, at most 200 characters"
        return f"path `{shown(text)}` is not safe in a Compose file: {rule}", ""
    plain = normalised_path(text)
    if plain == "/" or any(plain == system or plain.startswith(f"{system}/") for system in SYSTEM_FOLDERS):
        return f"path `{plain}` belongs to the system", "use a folder of your own such as `/mnt/data`"
    return None


def normalised_path(text: str) -> str:
    """The path without `.` parts, doubled or trailing slashes."""
    return str(PurePosixPath("/" + text.strip("/")))


def mirror(text: str) -> Complaint | None:
    """A registry, with a path below it where images lie there.

    Docker takes the first part of an image's name for a registry only where it has a dot or a port, or is `localhost`.
    """
    suggestion = "write one such as `registry.lan:5000` or `registry.lan/hub`"
    if "@" in text:
        return "a mirror is named without user, password and digest", "remove it, and sign in with `docker login`"
    if "://" in text:
        return "a mirror is named without `https://`", f"write `{shown(text.partition('://')[2].strip('/'))}`"
    found = _MIRROR.fullmatch(text)
    if found is None or len(text) > 200 or not 0 < int(found["port"] or 1) < 65536:
        return f"`{shown(text)}` is no mirror: HOST, HOST:PORT or HOST:PORT/PREFIX in lower case", suggestion
    if "." in found["host"] or found["port"] or found["host"] == "localhost":
        return None
    return f"`{shown(text)}` is a path on Docker Hub: a registry's name has a dot or a port", suggestion


def mail_server(text: str) -> Complaint | None:
    """A mail server as a URL of Authelia's three schemes, without a user, a password and a path."""
    found = _MAIL_SERVER.fullmatch(text)
    if "@" in text:
        return "a mail server is named without user and password", "write the user as `username`"
    if found is None or len(text) > 200 or not 0 < int(found["port"] or 1) < 65536:
        return f"`{shown(text)}` is no mail server", "write one such as `submissions://smtp.example.org`"
    return None


def mail_sender(text: str) -> Complaint | None:
    """An address, alone or in brackets behind a name."""
    if len(text) <= 200 and _MAIL_SENDER.fullmatch(text):
        return None
    return f"`{shown(text)}` is no sender", "write one such as `Homelab <homelab@example.org>`"


def mail_user(text: str) -> Complaint | None:
    """One printable line."""
    if 0 < len(text) <= 200 and text.isprintable() and text == text.strip():
        return None
    return "the user name is not one line of printable text of at most 200 characters", "leave it away for none"


def include(text: str) -> Complaint | None:
    """A YAML file inside the lab folder, relative to the file that includes it."""
    parts = text.split("/")
    if text.startswith("/") or ".." in parts:
        return f"include `{shown(text)}` leads out of the lab folder", "move the file into the lab folder"
    if len(text) > 200 or not all(_PATH_PART.fullmatch(part) and not part.startswith(".") for part in parts):
        return f"include `{shown(text)}` is no plain file name", ""
    if not text.endswith((".yaml", ".yml")):
        return f"include `{shown(text)}` is no YAML file", "end its name with `.yaml`"
    return None


def timezone(text: str) -> Complaint | None:
    """A name of the IANA time zone database; only its form is checked where this machine has no such database."""
    import zoneinfo

    if len(text) > 60 or not re.fullmatch(r"[A-Za-z]+(/[A-Za-z0-9_+-]+)*", text):
        return f"`{shown(text)}` is no time zone", "write one such as `Europe/Berlin`"
    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = zoneinfo.available_timezones()
        return (f"time zone `{text}` is not known", did_you_mean(text, known)) if known else None
    return None


def umask(text: str) -> Complaint | None:
    """Three octal digits; the owner keeps all rights."""
    if re.fullmatch("0[0-7]{2}", text):
        return None
    return f"`{shown(text)}` is no umask: three octal digits, the first is 0", "write `022` or `002`"


def variable(text: str) -> Complaint | None:
    """The name of an environment variable that holds no secret."""
    if len(text) > 100 or not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", text):
        return f"`{shown(text)}` is no name of an environment variable", "use letters, digits and `_`"
    if is_secret_name(text):
        reason = "this file is safe for git, so it holds no secret"
        return f"`{text}` looks like a secret: {reason}", "remove it: apps' secrets are generated"
    return None


def is_secret_name(text: str) -> bool:
    """Whether a variable of that name usually holds a secret (a `*_FILE` variable holds a path)."""
    return bool(_SECRET_NAME.search(text.upper())) and not text.upper().endswith("_FILE")


def value(text: str) -> Complaint | None:
    """One printable line without credentials in it."""
    if len(text) > 4096 or not all(char.isprintable() for char in text):
        return "the value is not one line of printable text of at most 4,096 characters", ""
    if _CREDENTIALS_IN_URL.search(text):
        return "the address holds a password: this file is safe for git, so it holds no secret", "remove the password"
    return None


def memory(text: str) -> Complaint | None:
    """A size from 16M to 1024G, with the unit Compose knows it by."""
    found = _MEMORY.fullmatch(text.upper())
    if not found:
        return f"`{shown(text)}` is no size: a whole number and K, M or G", "write one such as `512M`"
    size = int(found[1]) * _UNITS[found[2]]
    if not 16 * 2**20 <= size <= 2**40:
        return f"`{text}` is out of range: from 16M to 1024G", ""
    return None


def cpus(text: str) -> Complaint | None:
    """A decimal number of processors from 0.05 to 256."""
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})?", text):
        return f"`{shown(text)}` is no number of processors", "write one such as `1.5`"
    if not 0.05 <= float(text) <= 256:
        return f"`{text}` is out of range: from 0.05 to 256", ""
    return None


def idle(text: str) -> Complaint | None:
    """A duration from a second to 30 days."""
    return _duration(text, 30 * 86400, "1s to 30d", "30m")


def start_timeout(text: str) -> Complaint | None:
    """A duration from a second to an hour."""
    return _duration(text, 3600, "1s to 1h", "2m")


def _duration(text: str, longest: int, bounds: str, example: str) -> Complaint | None:
    """A duration in the catalog's own notation."""
    seconds = seconds_of(text)
    if seconds is None:
        suggestion = f"write `{text}s`, `{text}m` or `{text}h`" if re.fullmatch("[1-9][0-9]{0,5}", text) else ""
        rule = "a whole number with `s`, `m`, `h` or `d` behind it, or several such as `1h30m`"
        return f"`{shown(text)}` is no duration: {rule}", suggestion or f"write one such as `{example}`"
    if not 1 <= seconds <= longest:
        return f"`{text}` is out of range: from {bounds}", ""
    return None
