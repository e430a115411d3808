"""Put the lab's certificate authority where programs on a server look for those they trust, and take it out again.

The system's store: update-ca-certificates(8) of Debian and Ubuntu. Chromium's: NSS's shared database, found the way
Chromium finds it (crypto/nss_util.cc: ~/.pki/nssdb where that folder exists, else ~/.local/share/pki/nssdb).
Firefox keeps a store per profile and is left to its own settings page.
"""

from __future__ import annotations

import base64
import contextlib
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ez_homelab.errors import CommandError, PrerequisiteError
from ez_homelab.hosts.protocol import Command, command, run_checked
from ez_homelab.tls.authority import AuthorityFacts, read_authority

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ez_homelab.hosts.protocol import Completed, Host

SYSTEM_FOLDER = "/usr/local/share/ca-certificates"
SYSTEM_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
SYSTEM_PREFIX = "ez-homelab-"
# Trusted to sign for servers, for nothing else: certutil(1), -t.
NSS_TRUST = "C,,"
NOT_FOUND = 127
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "brave-browser", "microsoft-edge")
PEM_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TrustChange:
    """What was done to one store: `added` and `removed` name authorities by their entry there; both empty: already so.

    `store` is "system" or "chromium", `place` the store's folder.
    """

    store: str
    place: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether the store is another one than before."""
        return bool(self.added or self.removed)

    def __str__(self) -> str:
        parts = [f"added {', '.join(self.added)}"] * bool(self.added)
        parts += [f"removed {', '.join(self.removed)}"] * bool(self.removed)
        return f"{self.store} ({self.place}): {'; '.join(parts) or 'already so'}"


@dataclass(frozen=True, slots=True)
class _Database:
    """One NSS database; `prefix` is what makes its owner, and not root, run a program."""

    folder: str
    prefix: tuple[str, ...]
    exists: bool

    def certutil(self, *arguments: str, stdin: bytes = b"", changes: bool = True) -> Command:
        return command(*self.prefix, "certutil", "-d", f"sql:{self.folder}", *arguments, stdin=stdin, changes=changes)


def trust_print(certificate_pem: bytes) -> str:
    """The authority's certificate as PEM text, and nothing else that the input may hold.

    Raises `PrerequisiteError` where it is not the certificate of a lab's authority.
    """
    read_authority(certificate_pem)
    return x509.load_pem_x509_certificate(certificate_pem).public_bytes(Encoding.PEM).decode("ascii")


async def trusted_in_system(host: Host, certificate_pem: bytes) -> bool:
    """Whether programs that use the system's store trust this authority (it is in the bundle they read)."""
    bundle = await host.read(SYSTEM_BUNDLE)
    return bundle is not None and _without_space(certificate_pem) in _without_space(bundle)


async def trust_in_system(host: Host, certificate_pem: bytes, name: str) -> TrustChange:
    """Let the system's store trust the authority of the lab with the domain `name`, in place of its earlier ones.

    Raises `PrerequisiteError` where it is not that lab's authority or the server has no ca-certificates package,
    `CommandError` where the store did not take it.
    """
    path = f"{SYSTEM_FOLDER}/{SYSTEM_PREFIX}{_authority_of(certificate_pem, name).short_id}.crt"
    wanted = trust_print(certificate_pem).encode()
    earlier = [other for other in await _system_files(host, name) if other != path]
    if not earlier and await host.read(path) == wanted and await trusted_in_system(host, wanted):
        return TrustChange("system", SYSTEM_FOLDER)
    await host.write(path, wanted)
    for other in earlier:
        await host.remove(other)
    completed = await _update_system(host)
    if not await trusted_in_system(host, wanted):
        raise CommandError(
            f"the system's store on {host.name} did not take the lab's certificate authority",
            evidence=completed.last_line,
            cause=f"`update-ca-certificates` ended well, yet {SYSTEM_BUNDLE} does not hold {path}",
            fix="update-ca-certificates --fresh",
        )
    return TrustChange("system", SYSTEM_FOLDER, (_base(path),), tuple(map(_base, earlier)))


async def trust_in_chromium(host: Host, certificate_pem: bytes, name: str, home: str) -> TrustChange:
    """Let the Chromium of the person whose home folder it is trust the lab's authority, in place of earlier ones.

    Makes the database where there is none, owned by the home folder's owner. Raises `PrerequisiteError` where it is
    not that lab's authority or certutil is not installed, `CommandError` where certutil says no.
    """
    entry = f"{_entry_prefix(name)}{_authority_of(certificate_pem, name).short_id}"
    wanted = trust_print(certificate_pem).encode()
    await _need_certutil(host)
    database = await _find_database(host, home)
    if not database.exists:
        await _create_database(host, database)
    entries = await _entries(host, database)
    earlier = [other for other in entries if other.startswith(_entry_prefix(name)) and other != entry]
    already = entries.get(entry) == NSS_TRUST and await _entry_is(host, database, entry, wanted)
    if not already:
        if entry in entries:
            await _delete_entry(host, database, entry)
        adding = database.certutil("-A", "-a", "-n", entry, "-t", NSS_TRUST, stdin=wanted)
        await run_checked(host, adding, what=f"cannot add the lab's certificate authority to {database.folder}")
    for other in earlier:
        await _delete_entry(host, database, other)
    return TrustChange("chromium", database.folder, () if already else (entry,), tuple(earlier))


async def untrust(host: Host, name: str, homes: Iterable[str] = ()) -> tuple[TrustChange, ...]:
    """Take every authority of the lab with the domain `name` out of the system's store and of Chromium's in `homes`.

    Raises `PrerequisiteError`, before anything is changed, where there is a Chromium store and no certutil.
    """
    databases = [await _find_database(host, home) for home in homes]
    databases = [database for database in databases if database.exists]
    if databases:
        await _need_certutil(host)
    changes = [await _untrust_in_system(host, name)]
    changes += [await _untrust_in_chromium(host, name, database) for database in databases]
    return tuple(changes)


async def has_chromium(host: Host) -> bool:
    """Whether a browser that reads NSS's shared database is installed."""
    look = 'for name; do command -v "$name" && exit 0; done; exit 1'
    return (await host.run(command("sh", "-c", look, "sh", *CHROMIUMS, changes=False))).ok


async def browser_homes(host: Host, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The home folders in which the Chromium of the person at the keyboard keeps what it trusts.

    Under sudo that person is `SUDO_USER`. Ubuntu's Chromium is a snap, whose home lies inside the person's.
    """
    home = posixpath.normpath(environment.get("HOME") or "/root")
    person = environment.get("SUDO_USER", "")
    if person not in {"", "root"}:
        asked = command("getent", "passwd", "--", person, changes=False)
        answer = await run_checked(host, asked, what=f"cannot find the home folder of {person}")
        home = answer.stdout.strip().split(":")[5]
    snap = f"{home}/snap/chromium/current"
    has_snap = (await host.run(command("test", "-d", snap, changes=False))).ok
    return (home, snap) if has_snap else (home,)


def _authority_of(certificate_pem: bytes, name: str) -> AuthorityFacts:
    facts = read_authority(certificate_pem)
    if facts.domain == name:
        return facts
    raise PrerequisiteError(
        f"this certificate authority is not the one of {name}",
        evidence=f"it is bound to {facts.domain}",
        cause="the certificate comes from another lab",
        fix="run `ez-homelab trust` in the folder of the lab that is meant",
    )


async def _system_files(host: Host, name: str) -> list[str]:
    files = await host.list_files(SYSTEM_FOLDER) or []
    candidates = [path for path in files if _base(path).startswith(SYSTEM_PREFIX) and path.endswith(".crt")]
    return [path for path in candidates if _bound_to(await host.read(path), name)]


def _bound_to(certificate_pem: bytes | None, name: str) -> bool:
    try:
        return read_authority(certificate_pem or b"").domain == name
    except PrerequisiteError:
        return False


async def _update_system(host: Host, *options: str) -> Completed:
    updating = command("/usr/sbin/update-ca-certificates", *options, timeout=120)
    completed = await host.run(updating)
    if completed.status == NOT_FOUND:
        raise PrerequisiteError(
            f"{host.name} has no `update-ca-certificates`",
            evidence=completed.last_line,
            cause="the package ca-certificates is not installed",
            fix="apt-get install ca-certificates",
        )
    if not completed.ok:
        raise CommandError(
            f"`update-ca-certificates` ended with status {completed.status} on {host.name}",
            evidence=completed.last_line,
            fix="update-ca-certificates --verbose",
        )
    return completed


async def _untrust_in_system(host: Host, name: str) -> TrustChange:
    files = await _system_files(host, name)
    # A run that was stopped between the removal and the update leaves no file, and a bundle that still trusts it.
    if not files and not await _in_bundle(host, name):
        return TrustChange("system", SYSTEM_FOLDER)
    for path in files:
        await host.remove(path)
    # Only --fresh also removes the links to files that are gone.
    await _update_system(host, "--fresh")
    if await _in_bundle(host, name):
        raise CommandError(
            f"programs on {host.name} still trust the certificate authority of {name}",
            evidence=f"it is in {SYSTEM_BUNDLE}",
            cause="a copy of its certificate lies there under another name",
            fix=f"remove the copy (look for it: ls -l {SYSTEM_FOLDER}), then run update-ca-certificates --fresh",
        )
    return TrustChange("system", SYSTEM_FOLDER, removed=tuple(map(_base, files)) or (name,))


async def _in_bundle(host: Host, name: str) -> bool:
    blocks = PEM_BLOCK.findall(await host.read(SYSTEM_BUNDLE) or b"")
    return any(_bound_to(block, name) for block in blocks if _looks_like_ours(block))


def _looks_like_ours(block: bytes) -> bool:
    # Other people's certificates are not parsed: some break the rules, and the parser warns the user about each.
    with contextlib.suppress(ValueError):
        return b"EZ-Homelab" in base64.b64decode(b"".join(block.split(b"\n")[1:-1]))
    return False


async def _untrust_in_chromium(host: Host, name: str, database: _Database) -> TrustChange:
    entries = [entry for entry in await _entries(host, database) if entry.startswith(_entry_prefix(name))]
    for entry in entries:
        await _delete_entry(host, database, entry)
    return TrustChange("chromium", database.folder, removed=tuple(entries))


async def _need_certutil(host: Host) -> None:
    completed = await host.run(command("certutil", "-H", changes=False))
    if completed.status == NOT_FOUND:
        raise PrerequisiteError(
            f"{host.name} has no `certutil`, the program that edits what Chromium trusts",
            evidence=completed.last_line,
            cause="the package libnss3-tools is not installed",
            fix="apt-get install libnss3-tools",
        )


async def _find_database(host: Host, home: str) -> _Database:
    prefix = await _owner_prefix(host, home)
    folders = (f"{home}/.pki/nssdb", f"{home}/.local/share/pki/nssdb")
    for folder in folders:
        files = await host.list_files(folder)
        if files is not None:
            return _Database(folder, prefix, exists=f"{folder}/cert9.db" in files)
    return _Database(folders[0], prefix, exists=False)


async def _owner_prefix(host: Host, home: str) -> tuple[str, ...]:
    # What root writes into a person's folders follows links that this person can place; as its owner it cannot harm.
    asked = command("stat", "--format=%u:%g", "--", home, changes=False)
    answer = await run_checked(host, asked, what=f"cannot look at the home folder {home}")
    uid, gid = answer.stdout.strip().split(":")
    me = await run_checked(host, command("id", "-u", changes=False), what="cannot tell who runs commands")
    if uid == me.stdout.strip():
        return ()
    return ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--")


async def _create_database(host: Host, database: _Database) -> None:
    parent = database.folder.rpartition("/")[0]
    making = command(*database.prefix, "mkdir", "-p", "-m", "700", "--", parent, database.folder)
    await run_checked(host, making, what=f"cannot make {database.folder}")
    creating = database.certutil("-N", "--empty-password")
    await run_checked(host, creating, what=f"cannot make the certificate database in {database.folder}")


async def _entries(host: Host, database: _Database) -> dict[str, str]:
    """Each certificate's name in the database, and its trust flags (the last column of certutil's list)."""
    listing = await run_checked(host, database.certutil("-L", changes=False), what=f"cannot read {database.folder}")
    columns = [line.rsplit(None, 1) for line in listing.stdout.splitlines()]
    return {column[0].strip(): column[1] for column in columns if len(column) == 2}


async def _entry_is(host: Host, database: _Database, entry: str, wanted: bytes) -> bool:
    shown = await host.run(database.certutil("-L", "-a", "-n", entry, changes=False))
    return _without_space(shown.stdout.encode()) == _without_space(wanted)


async def _delete_entry(host: Host, database: _Database, entry: str) -> None:
    await run_checked(host, database.certutil("-D", "-n", entry), what=f"cannot remove {entry} from {database.folder}")


def _entry_prefix(name: str) -> str:
    return f"EZ-Homelab {name} "


def _base(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _without_space(text: bytes) -> bytes:
    return b"".join(text.split())
