"""Run by test_local.py as root in a mount namespace of its own: makes the kernel refuse, prints what was then seen."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ez_homelab.errors import CommandError
from ez_homelab.hosts.local import LocalHost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

NOBODY = 65534
HOST = LocalHost()


def mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


@contextlib.contextmanager
def tmpfs(base: Path, options: str = "size=64k") -> Iterator[Path]:
    folder = base / "mounted"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", options, "tmpfs", folder)
    (folder / "file").write_text("old")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


@contextlib.contextmanager
def not_root() -> Iterator[None]:
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


async def refusal(folder: Path, attempt: Awaitable[None]) -> dict[str, Any]:
    try:
        await attempt
    except CommandError as error:
        told = error.to_dict()
    else:
        told = {"evidence": "nothing was refused"}
    return told | {"content": (folder / "file").read_text(), "names": sorted(each.name for each in folder.iterdir())}


async def look(base: Path) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    with tmpfs(base) as folder:
        seen["full"] = await refusal(folder, HOST.write(f"{folder}/file", b"x" * 100_000))
    with tmpfs(base) as folder:
        with contextlib.suppress(OSError):
            (folder / "file").with_name("filler").write_bytes(b"x" * 100_000)
        async with HOST.lock(f"{folder}/lock", "holder"):
            seen["lock on a full disk"] = "held"
    with tmpfs(base, "size=64k,nr_inodes=2") as folder:
        seen["full of files"] = await refusal(folder, HOST.write(f"{folder}/file", b"new"))
    with tmpfs(base) as folder:
        mount("-o", "remount,ro", folder)
        seen["read-only"] = await refusal(folder, HOST.write(f"{folder}/file", b"new"))
        seen["remove read-only"] = await refusal(folder, HOST.remove(f"{folder}/file"))
    with tmpfs(base, "size=64k,mode=755") as folder, not_root():
        seen["not root"] = await refusal(folder, HOST.write(f"{folder}/file", b"new"))
        seen["not root, new folder"] = await refusal(folder, HOST.write(f"{folder}/new/file", b"new"))
    with tmpfs(base, "size=64k,mode=777") as folder, not_root():
        seen["given away"] = await refusal(folder, HOST.write(f"{folder}/file", b"new", uid=0))
    with tmpfs(base) as folder:
        mount("--bind", folder / "file", folder / "file")
        seen["mounted over"] = await refusal(folder, HOST.write(f"{folder}/file", b"new"))
    with tmpfs(base) as folder:
        await HOST.remove(f"{folder}/file", prune_below=str(base))
        seen["mount point"] = "stays" if folder.is_mount() else "went"
    return seen


if __name__ == "__main__":
    # Not below a temporary folder, because only its owner may pass through those. Nobody outside sees this mount.
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/mnt")
    json.dump(asyncio.run(look(Path("/mnt"))), sys.stdout)
