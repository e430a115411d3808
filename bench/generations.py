"""What it costs to keep generations: bytes on disk, seconds to keep one, to list them, to load one.

    python bench/generations.py

Fifty generations of a lab with 40 containers, each of which changes one app, on this machine's disk. Ratios compare
with the first generation: it writes everything, the others only what is new.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ez_homelab.generations import keep
from ez_homelab.generations.index import Generations
from ez_homelab.hosts.local import LocalHost
from ez_homelab.testing.make_lab import desired_of, make_lab

if TYPE_CHECKING:
    from ez_homelab.render.desired import Desired

KEPT = 50
CORE_CONTAINERS = 2
CONTAINERS = 40


@dataclass(frozen=True)
class Cost:
    """One measured figure in `unit`; `ratio` is to the first generation's, None where that says nothing."""

    name: str
    unit: str
    value: float
    ratio: float | None = None
    note: str = ""


class OwnHost(LocalHost):
    """This machine, with files that belong to whoever measures."""

    async def write(self, path: str, content: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
        """See `Host.write`."""
        await super().write(path, content, mode=mode, uid=uid or os.getuid(), gid=gid or os.getgid())


def lab_of_forty() -> Desired:
    """A lab whose server runs 40 containers."""
    desired = desired_of(make_lab(apps=CONTAINERS - CORE_CONTAINERS))
    assert len(desired.servers["core"].services) == CONTAINERS
    return desired


def changed(desired: Desired, number: int) -> Desired:
    """The lab after one app's update: another line in its stack's compose.yaml, another fingerprint."""
    core = desired.servers["core"]
    places = [place for place, file in enumerate(core.files) if file.path.endswith("/compose.yaml")]
    place = places[number % len(places)]
    old = core.files[place]
    files = (
        *core.files[:place],
        replace(old, content=old.content + f"# {number}\n".encode()),
        *core.files[place + 1 :],
    )
    return replace(desired, servers={"core": replace(core, files=files)})


async def keep_fifty(folder: Path) -> list[Cost]:
    """Keep them one after the other, then list and load."""
    index, hosts, objects = (
        Generations(str(folder / "journal.db"), "/opt/homelab"),
        {"core": OwnHost()},
        folder / "objects",
    )
    desired, seconds, sizes = lab_of_forty(), [], []
    images = {"core": {image.reference: f"sha256:{'0' * 64}" for image in desired.servers["core"].images}}
    for number in range(KEPT):
        desired = changed(desired, number) if number else desired
        started = time.perf_counter()
        await keep.record(
            hosts, index, desired, {"homelab.yaml": f"# {number}\n".encode()}, images, who="bench", command="bench",
            why="", plan="", outcome="done", folder=str(objects),
        )  # fmt: skip
        seconds.append(time.perf_counter() - started)
        sizes.append(size_of(folder))
    started = time.perf_counter()
    assert len(index.all()) == KEPT
    listing = time.perf_counter() - started
    loads = []
    for number in (1, KEPT // 2, KEPT):
        started = time.perf_counter()
        found = await keep.load(index, number, hosts, folder=str(objects))
        loads.append(time.perf_counter() - started)
    assert found.desired == desired
    started = time.perf_counter()
    await keep.prune(index, hosts, KEPT - 1, folder=str(objects))
    pruning = time.perf_counter() - started
    later = statistics.median(seconds[1:])
    growth = (sizes[-1] - sizes[0]) / (KEPT - 1)
    return [
        Cost("bytes on disk, the first generation", "kB", sizes[0] / 1e3, 1.0),
        Cost(f"bytes on disk, all {KEPT}", "kB", sizes[-1] / 1e3, sizes[-1] / sizes[0], f"{growth / 1e3:.1f} kB each"),
        Cost("keep the first", "s", seconds[0], 1.0, "writes every file"),
        Cost(
            "keep a later one",
            "s",
            later,
            later / seconds[0],
            f"median; {min(seconds[1:]):.3f} to {max(seconds[1:]):.3f}",
        ),
        Cost(f"list all {KEPT}", "s", listing),
        Cost("load one", "s", statistics.median(loads), None, f"median of {len(loads)}"),
        Cost(f"let go of one of {KEPT}", "s", pruning, None, "reads every kept document"),
    ]


def size_of(folder: Path) -> int:
    """Bytes that the files hold, with SQLite's own beside its database."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def cost_of_generations() -> list[Cost]:
    """The figures, measured in a temporary folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ez-homelab-bench-") as folder:
        return asyncio.run(keep_fifty(Path(folder)))


def main() -> None:
    """Measure and print."""
    for cost in cost_of_generations():
        ratio = "    -" if cost.ratio is None else f"{cost.ratio:5.2f}"
        print(f"{cost.name:<40} {cost.value:>10.4f} {cost.unit:<3} ratio to the first {ratio}  {cost.note}")


if __name__ == "__main__":
    main()
