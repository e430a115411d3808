"""Copies of databases, taken while nothing runs on them, so that a version that fails can be taken back with its data.

    /var/lib/ez-homelab/copies/<generation>/<volume>/data      the volume's content, as that generation left it
                                                    /complete  written last: without it there is no copy
                                                    /stopped   containers that were stopped for it, by id

A copy is the data of its generation only as long as that version does not run again: whatever starts it again takes
`complete` away first. Programs of a run that was killed live on for a while, so each one that changes data or a copy
holds the volume's lock, and those of the next run wait for it.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from typing import TYPE_CHECKING

from ez_homelab.apply.containers import present
from ez_homelab.errors import CommandError, EzError, PrerequisiteError
from ez_homelab.hosts import Command, run_checked
from ez_homelab.observe import docker
from ez_homelab.render.desired import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ez_homelab.hosts import Host
    from ez_homelab.plan.action import Action

COPIES = f"{STATE_FOLDER}/copies"
PENDING = f"{STATE_FOLDER}/way-back.json"
_LOCKS = f"{COPIES}/locks"

SPARE_BYTES = 64 << 20
"""What must stay free where the copies lie, beside the copies."""

_HOURS = 6 * 3600.0
"""Seconds after which a program that moves data counts as hanging, however slow the disk."""

_STOP = 300.0
"""Seconds for stopping containers; how long each may take its app declares."""


def copy_folder(volume: str, base: int) -> str:
    """Where the copy of the volume as of that generation lies."""
    return f"{COPIES}/{base}/{volume}"


async def copy_volume(host: Host, action: Action, base: int) -> None:
    """Copy the volume of a plan's `copy` action, as generation `base` left it; its app stays stopped afterwards.

    Raises `PrerequisiteError` before anything is stopped where there is no space for the stack's copies, or where a
    newer version may have changed the data and there is no copy from before that. Raises `CommandError` where copying
    fails: what was stopped runs again then, and there is no copy.
    """
    volume, settings = action.name, action.settings
    if settings["fresh"] == "no":
        if base in await complete_copies(host, volume):
            return
        _refuse_touched(host, action, base)
    await _make_room(host, volume, base)
    await _require_space(host, settings["space_for"].split(","))
    users = {one.name: one.id for one in await present(host, _names(settings["stop"]))}
    await _note(host, volume, base, users)
    try:
        await _stop(host, users)
        await _copy(host, volume, base, settings["image"])
        await _let_go_on(host, volume, base, users, _names(settings["again"]))
    except EzError:
        # Where it cannot be started, the note stays and the next run tries again; the first error says more.
        with contextlib.suppress(EzError):
            await start_again(host, users)
        raise


async def restore_volume(host: Host, volume: str, base: int) -> None:
    """Make the volume's content that of its copy. Nothing may run on it. Can be cut off and done again.

    Raises `CommandError` where there is no complete copy (nothing is touched then), or where restoring fails.
    """
    what = f"the data of {volume} could not be put back on {host.name}"
    if base not in await complete_copies(host, volume):
        missing = f"no complete copy in {copy_folder(volume, base)}"
        fix = f"put the data back from a backup, then: rm {PENDING}"
        raise CommandError(what, evidence=missing, cause="the copy was removed by hand", fix=fix)
    folder = (await _mountpoints(host, [volume]))[0]
    await _locked(host, volume, "find", folder, "-xdev", "-mindepth", "1", "-delete", what=what)
    # New folders would take the bit over from it, and cp leaves it on them.
    await _locked(host, volume, "chmod", "g-s", "--", folder, what=what)
    await _locked(host, volume, *_cp(f"{copy_folder(volume, base)}/data", folder), what=what)
    await _locked(host, volume, "sync", "--file-system", folder, what=what)


async def complete_copies(host: Host, volume: str) -> frozenset[int]:
    """The generations of which there is a complete copy of the volume."""
    markers = {f"{copy_folder(volume, base)}/complete": base for base in await copied_bases(host)}
    states = await host.states(markers)
    return frozenset(base for path, base in markers.items() if states[path] is not None)


async def copied_bases(host: Host) -> frozenset[int]:
    """The generations of which there are copies, complete or not."""
    return frozenset(int(name) for name in await _folders(host, COPIES) if name.isdecimal())


async def prune_copies(host: Host, kept_bases: Collection[int]) -> None:
    """Remove the copies that belong to none of these generations."""
    for base in sorted(await copied_bases(host) - frozenset(kept_bases)):
        for volume in await _folders(host, f"{COPIES}/{base}"):
            await drop_copy(host, volume, base)
        order = Command(("rmdir", "--", f"{COPIES}/{base}"))
        await run_checked(host, order, what=f"cannot remove the copies of generation {base}")


async def drop_copy(host: Host, volume: str, base: int) -> None:
    """Remove the volume's copy as of that generation; a removal that is cut off leaves nothing that looks whole."""
    folder = copy_folder(volume, base)
    await host.remove(f"{folder}/complete")
    what = f"the copy of {volume} could not be removed on {host.name}"
    await _locked(host, volume, *_rm(folder), what=what)


async def start_again(
    host: Host, only: Mapping[str, str] | None = None, *, leave: Collection[str] = ()
) -> tuple[str, ...]:
    """Start what a copy stopped and no new version replaced, after a run that failed or was cut off; their names.

    To be called before a run looks at the server, because a stopped container looks as if a person had stopped it, and
    after a run that failed. Their copies go with that. Where a new version has replaced some of those that share the
    data, the rest of them is removed instead: the old version must not run on data that the new one may have changed.
    `only` (name -> id) are the containers to start, where not all; volumes of `leave` are left as they are.
    """
    started: dict[str, str] = {}
    for base in sorted(await copied_bases(host)):
        for volume in sorted({*await _folders(host, f"{COPIES}/{base}")} - {*leave}):
            noted = json.loads(await host.read(f"{copy_folder(volume, base)}/stopped") or b"{}")
            if only is None or noted.items() & only.items():
                started |= await _settle(host, copy_folder(volume, base), noted)
    return tuple(sorted(started))


async def _settle(host: Host, folder: str, noted: Mapping[str, str]) -> dict[str, str]:
    """Bring to an end what one copy began; the containers that run again."""
    there = {one.name: one.id for one in await present(host, noted.values())}
    again = there if there.keys() == noted.keys() else {}
    if again:
        await host.remove(f"{folder}/complete")
        # Not `start`: a stop that a killed run asked for may still be under way.
        order = Command(("docker", "container", "restart", *again.values()), timeout=_STOP)
        await run_checked(host, order, what=f"cannot start {', '.join(again)}")
    elif there:
        order = Command(("docker", "container", "rm", "--force", *there.values()), timeout=_STOP)
        await run_checked(host, order, what=f"cannot remove {', '.join(there)}")
    await host.remove(f"{folder}/stopped")
    return again


def _refuse_touched(host: Host, action: Action, base: int) -> None:
    if image := action.settings.get("touched"):
        kept = action.settings["image"]
        raise PrerequisiteError(
            f"{image} may have changed the data of {action.name} on {host.name}, and no copy from before is left",
            evidence=f"generation {base} has {kept}; no complete copy in {copy_folder(action.name, base)}",
            cause="that version was started by hand, or the copy was removed",
            fix="name the version that runs now in homelab.yaml and run ez-homelab apply, then change it once more",
        )


async def _make_room(host: Host, volume: str, base: int) -> None:
    """The folders for a new copy, for nobody else to enter, and nothing in them of an earlier one."""
    folder = copy_folder(volume, base)
    made = (COPIES, _LOCKS, f"{COPIES}/{base}", folder)
    order = Command(("install", "--directory", "--mode=0700", "--", *made))
    await run_checked(host, order, what=f"cannot make the folder {folder}")
    await host.remove(f"{folder}/complete")
    old = [f"{folder}/{name}" for name in await _folders(host, folder)]
    if old:
        await _locked(host, volume, *_rm(*old), what=f"an old copy of {volume} could not be removed on {host.name}")


async def _require_space(host: Host, volumes: list[str]) -> None:
    folders = await _mountpoints(host, volumes)
    # A file that goes while it is counted makes du complain, and the sum is still good.
    counted = await host.run(
        Command(("du", "--summarize", "--block-size=1", "--", *folders), timeout=_HOURS, changes=False)
    )
    needed = sum(int(line.split()[0]) for line in counted.stdout.splitlines()) + SPARE_BYTES
    asked = Command(("stat", "--file-system", "--format", "%a %S", "--", COPIES), changes=False)
    blocks, size = (await run_checked(host, asked, what=f"cannot see how much space {COPIES} has")).stdout.split()
    if (free := int(blocks) * int(size)) < needed:
        raise PrerequisiteError(
            f"there is no space on {host.name} for a copy of {', '.join(volumes)}; nothing was changed",
            evidence=f"{_megabytes(needed)} MB needed, {_megabytes(free)} MB free in {COPIES}",
            cause="before a new version first starts, the data of its database is copied",
            fix=f"make space: df -h {COPIES}",
        )


def _megabytes(count: int) -> int:
    return count // 1_000_000


async def _copy(host: Host, volume: str, base: int, image: str) -> None:
    folder = copy_folder(volume, base)
    what = f"the data of {volume} could not be copied on {host.name}"
    # A name of its own: a program that a killed run left behind writes to another one.
    incoming = f"{folder}/incoming-{secrets.token_hex(4)}"
    mounted = (await _mountpoints(host, [volume]))[0]
    try:
        await _locked(host, volume, "mkdir", "--", incoming, what=what)
        await _locked(host, volume, *_cp(mounted, incoming), what=what)
        await _locked(host, volume, "sync", "--file-system", incoming, what=what)
        await _locked(host, volume, "mv", "--no-target-directory", "--", incoming, f"{folder}/data", what=what)
        await host.write(f"{folder}/complete", json.dumps({"image": image}).encode(), mode=0o600)
    except EzError:
        # On a full disk it would leave no space even for the journal.
        with contextlib.suppress(EzError):
            await _locked(host, volume, *_rm(incoming, f"{folder}/data"), what=what)
        raise


async def _let_go_on(host: Host, volume: str, base: int, users: Mapping[str, str], again: Iterable[str]) -> None:
    """Start those that stay as they are: what they write from now on is lost where the stack goes back."""
    started = [users[name] for name in again if name in users]
    if started:
        what = f"cannot start what uses {volume}"
        await run_checked(host, Command(("docker", "container", "start", *started), timeout=_STOP), what=what)
    await _note(host, volume, base, {name: one for name, one in users.items() if one not in started})


async def _note(host: Host, volume: str, base: int, users: Mapping[str, str]) -> None:
    await host.write(f"{copy_folder(volume, base)}/stopped", json.dumps({**users}).encode(), mode=0o600)


async def _stop(host: Host, users: Mapping[str, str]) -> None:
    if users:
        order = Command(("docker", "container", "stop", *users.values()), timeout=_STOP)
        await run_checked(host, order, what=f"cannot stop {', '.join(users)}")


async def _mountpoints(host: Host, volumes: list[str]) -> list[str]:
    order = docker.probe("volume", "inspect", "--format", "{{.Mountpoint}}", *volumes)
    return (await run_checked(host, order, what=f"cannot find the data of {', '.join(volumes)}")).stdout.splitlines()


async def _folders(host: Host, folder: str) -> list[str]:
    """The names of the folders in a folder, sorted; none where it is not there."""
    if (await host.states([folder]))[folder] is None:
        return []
    order = Command(
        ("find", folder, "-mindepth", "1", "-maxdepth", "1", "-type", "d", "-printf", "%f\\n"), changes=False
    )
    return sorted((await run_checked(host, order, what=f"cannot list {folder}")).stdout.splitlines())


async def _locked(host: Host, volume: str, *argv: str, what: str) -> None:
    """Run it under the volume's lock. Raises `CommandError` with `what` and the last line it said."""
    completed = await host.run(Command(("flock", "--exclusive", f"{_LOCKS}/{volume}", *argv), timeout=_HOURS))
    if not completed.ok:
        full = "No space left" in completed.stderr
        raise CommandError(
            what,
            evidence=completed.last_line,
            cause="the disk is full" if full else "",
            fix=f"see what fills it: df -h {COPIES}" if full else f"run it by hand to see more: {completed.command}",
        )


def _cp(source: str, target: str) -> tuple[str, ...]:
    return ("cp", "--archive", "--reflink=auto", "--one-file-system", "--", f"{source}/.", target)


def _rm(*folders: str) -> tuple[str, ...]:
    return ("rm", "--recursive", "--force", "--one-file-system", "--", *folders)


def _names(listed: str) -> list[str]:
    return [name for name in listed.split(",") if name]
