"""The root file system that all servers of one kind share, read-only: built once by debootstrap, kept in a cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ez_homelab.errors import CommandError, UsageError
from ez_homelab.testing.fleet.programs import SYSTEM_PATH, last_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CACHE = Path("/var/cache/ez-homelab/fleet")
MIRROR = "http://deb.debian.org"
COMPANY_CERTIFICATES = Path("/usr/local/share/ca-certificates")
STANDARD_PACKAGES = (
    "ca-certificates",
    "iproute2",
    "iputils-ping",
    "netbase",
    "openssh-server",
    "procps",
    "sudo",
    "tini",
    "tzdata",
)
"""What any server install has, and tini to be its process 1. No Python, curl, iptables or Docker on purpose."""

_RECIPE = "1"  # part of the cache's key: count up when what is built here changes
_POLICY = "#!/bin/sh\nexit 101\n"  # invoke-rc.d's word for "start no daemon": this is a build, not a machine


def engine_packages(suite: str) -> tuple[str, ...]:
    """The packages of a Docker engine and its client, which is a package of its own from Debian 13 on."""
    apart = () if suite in {"bullseye", "bookworm"} else ("docker-cli",)
    return ("docker.io", *apart, "iptables")


def base_root(suite: str, packages: Sequence[str] = (), *, say: Callable[[str], None] | None = None) -> Path:
    """The folder of the base root for a Debian suite with extra packages in it; built where the cache lacks it.

    Raises `UsageError` for a name that can be neither suite nor package, `CommandError` where the build fails.
    """
    for name in (suite, *packages):
        if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", name):
            raise UsageError(f"{name!r} is not the name of a Debian suite or package")
    extra = tuple(sorted(set(packages)))
    target = CACHE / f"{suite}-{_key(suite, extra)}"
    if target.is_dir():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    with file_lock(CACHE / f"{target.name}.lock"):
        if not target.is_dir():
            start = base_root(suite, say=say) if extra else None
            _build_beside(target, suite, extra, start, say or _silent)
    return target


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file, waiting for it; the kernel lets go of it when the holder ends."""
    with path.open("a", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _key(suite: str, packages: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for text in (_RECIPE, MIRROR, suite, platform.machine(), *STANDARD_PACKAGES, *packages):
        digest.update(text.encode() + b"\0")
    for certificate in _company_certificates():
        digest.update(certificate.read_bytes())
    return digest.hexdigest()[:12]


def _company_certificates() -> list[Path]:
    return sorted(COMPANY_CERTIFICATES.rglob("*.crt"))


def _build_beside(
    target: Path, suite: str, packages: tuple[str, ...], start: Path | None, say: Callable[[str], None]
) -> None:
    building = CACHE / f".building-{target.name}"
    if building.exists():  # the lock is ours, so its builder is dead
        shutil.rmtree(building)
    try:
        if start is None:
            say(f"building the base root {target.name} with debootstrap (about a minute, once)")
            _bootstrap(building, suite)
        else:
            say(f"adding {', '.join(packages)} to the base root (once)")
            _isolated(["cp", "--archive", str(start), str(building)])
            _install(building, packages)
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _bootstrap(root: Path, suite: str) -> None:
    include = ",".join(STANDARD_PACKAGES)
    cached = apt_cache()
    options = ["--variant=minbase", f"--include={include}", f"--cache-dir={cached}"]
    _isolated(["debootstrap", *options, suite, str(root), f"{MIRROR}/debian"])
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()  # each server gets one of its own
    sources = [
        f"deb {MIRROR}/debian {suite} main",
        f"deb {MIRROR}/debian {suite}-updates main",
        f"deb {MIRROR}/debian-security {suite}-security main",
    ]
    (root / "etc/apt/sources.list").write_text("\n".join(sources) + "\n", encoding="utf-8")
    certificates = root / "usr/local/share/ca-certificates"
    for certificate in _company_certificates():
        shutil.copyfile(certificate, certificates / certificate.name)
    _inside(root, ["update-ca-certificates"])
    _inside(root, ["apt-get", "-q", "update"])


def _install(root: Path, packages: tuple[str, ...]) -> None:
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text(_POLICY, encoding="utf-8")
    policy.chmod(0o755)
    give_archives(root / "var/cache/apt/archives")
    try:
        _inside(root, ["apt-get", "-q", "update"])
        _inside(root, ["apt-get", "-q", "install", "-y", "--no-install-recommends", *packages])
    finally:
        policy.unlink()
        keep_archives(root / "var/cache/apt/archives")
        for archive in (root / "var/cache/apt/archives").glob("*.deb"):
            archive.unlink()


def apt_cache() -> Path:
    """The folder of Debian packages that all servers of this machine have downloaded."""
    folder = CACHE / "apt"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def give_archives(folder: Path) -> None:
    """Put the kept packages into a server's own download folder, as hard links where the file system allows.

    Each server has a folder of its own because apt locks it: two servers may install at the same time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for archive in apt_cache().glob("*.deb"):
        _link(archive, folder / archive.name)


def keep_archives(folder: Path) -> None:
    """Put the packages that a server downloaded among those kept for all."""
    for archive in folder.glob("*.deb"):
        kept = apt_cache() / archive.name
        if not kept.exists():
            beside = kept.with_name(f".{kept.name}.{os.getpid()}")
            _link(archive, beside)
            beside.rename(kept)


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except FileExistsError:
        return
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _inside(root: Path, argv: list[str]) -> None:
    shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
    _isolated(["chroot", str(root), *argv])


def _isolated(argv: list[str]) -> None:
    # A mount and a process namespace of its own: a build that fails or is killed leaves no mount and no process.
    wrapped = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *argv]
    environment = {"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    ended = subprocess.run(wrapped, env=environment | proxies, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise CommandError(
            f"the base root could not be built: `{argv[0]}` ended with status {ended.returncode}",
            evidence=last_line(ended.stderr, ended.stdout),
            cause="most often the package mirror is out of reach",
            fix=f"check that this machine reaches {MIRROR}, then run it again",
        )


def _silent(_: str) -> None:
    return
