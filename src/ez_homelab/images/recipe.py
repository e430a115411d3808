"""What the Debian base of all package editions is made of. Pure: the steps that make it are in build.py.

The hash of this recipe is the base's tag and goes into every edition's tag: a changed recipe is a changed image.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SUITE = "bookworm"
# wget is what health checks inside the images call; debootstrap's minimal variant has neither of the two.
PACKAGES = ("ca-certificates", "wget")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
BASE_LABEL = "ez-homelab.base"

# dpkg leaves these out when it unpacks, in the base and in every edition. Licences stay.
DPKG_SETTINGS = """\
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/groff/*
path-exclude /usr/share/info/*
path-exclude /usr/share/linda/*
path-exclude /usr/share/lintian/*
path-exclude /usr/share/locale/*
path-include /usr/share/locale/locale.alias
path-exclude /usr/share/man/*
# A build that is cut short is thrown away whole, so nothing needs to be safe on disk half-way.
force-unsafe-io
"""
APT_SETTINGS = """\
Acquire::Retries "3";
Acquire::Languages "none";
APT::Install-Suggests "false";
// Neither packages nor apt's tables of them stay in a layer.
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };
"""
# What debootstrap has unpacked in its first half, without dpkg.
REMOVED = ("usr/share/groff", "usr/share/info", "usr/share/lintian", "usr/share/locale", "usr/share/man")
EMPTIED = ("var/cache/apt", "var/cache/debconf", "var/lib/apt/lists", "var/log", "tmp")
# Docker puts its own in place of these when a container starts.
NOT_PACKED = ("./dev/*", "./proc/*", "./sys/*", "./run/*")
IMAGE_SETTINGS = (
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    'CMD ["/bin/sh"]',
    'LABEL org.opencontainers.image.title="Debian base of the package editions"',
    f'LABEL org.opencontainers.image.version="{SUITE}"',
)


# sources.list(5), one-line style: deb [ option=value ... ] uri suite component ...
_ONE_LINE = re.compile(r"deb\s+(\[(?P<options>[^\]]*)\]\s*)?(?P<uri>\S+)\s+\S+\s+(?P<components>[^#]*)")


def _recipe_hash() -> str:
    parts = [SUITE, PACKAGES, DPKG_SETTINGS, APT_SETTINGS, REMOVED, EMPTIED, NOT_PACKED, IMAGE_SETTINGS]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


RECIPE_HASH = _recipe_hash()
BASE_TAG = f"ez-homelab/base:{RECIPE_HASH[:12]}"


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where Debian's packages and its security updates come from."""

    main: str = "http://deb.debian.org/debian"
    security: str = "http://deb.debian.org/debian-security"

    def sources_list(self) -> str:
        """/etc/apt/sources.list of the base and of all that is built on it."""
        return (
            f"deb {self.main} {SUITE} main\n"
            f"deb {self.main} {SUITE}-updates main\n"
            f"deb {self.security} {SUITE}-security main\n"
        )


def debian_mirror(os_release: str, sources: Mapping[str, str]) -> Mirror:
    """The mirror that the server itself uses where it runs Debian, else Debian's public one.

    `os_release` is the text of /etc/os-release, `sources` the files of /etc/apt by path. Addresses that only the
    server can read (cdrom, file, mirror lists) and archives of others are passed over.
    """
    public = Mirror()
    if _os_release_value(os_release, "ID") != "debian":
        return public
    found = {urlsplit(uri).path.strip("/").rpartition("/")[2]: uri for uri in reversed([*_addresses(sources)])}
    return Mirror(main=found.get("debian", public.main), security=found.get("debian-security", public.security))


def _os_release_value(text: str, key: str) -> str:
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name == key:
            return value.strip("\"'")
    return ""


def _addresses(sources: Mapping[str, str]) -> Iterator[str]:
    for path, text in sorted(sources.items()):
        lines = _deb822_addresses(text) if path.endswith(".sources") else _one_line_addresses(text)
        for uri in lines:
            if urlsplit(uri).scheme in ("http", "https"):
                yield uri.rstrip("/")


def _one_line_addresses(text: str) -> Iterator[str]:
    """Addresses of `deb [options] URI suite component...` lines (sources.list(5)) that hold Debian's main part."""
    for line in text.splitlines():
        entry = _ONE_LINE.match(line)
        if entry and "main" in entry["components"].split() and _is_debians(entry["options"] or ""):
            yield entry["uri"]


def _deb822_addresses(text: str) -> Iterator[str]:
    """Addresses of the stanzas (sources.list(5), deb822 style) that hold Debian's main part."""
    for stanza in text.split("\n\n"):
        fields = _deb822_fields(stanza.splitlines())
        binary = "deb" in fields.get("types", "").split() and fields.get("enabled", "yes") != "no"
        if binary and "main" in fields.get("components", "").split() and _is_debians(fields.get("signed-by", "")):
            yield from fields.get("uris", "").split()


def _is_debians(options: str) -> bool:
    """Others name their folders `debian` too, but have their own keys."""
    return "debian-archive" in options or not re.search("signed-by|[./]", options)


def _deb822_fields(lines: Iterable[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon and not line.startswith(("#", " ", "\t")):
            fields[name.lower()] = value.strip()
    return fields
