"""What an unchanged plan and an unchanged apply cost with 40 containers, on a real server of the test fleet.

    python bench/forty.py [--json]      (root; takes some minutes, most of them for building and starting)

The same command is timed on the same server with the starter lab first, so that the ratio says what the containers add.
`NAME=FLEET` in the environment takes a fleet of that name that was started by hand and has the starter lab up.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests/e2e"))

from real_lab import LAB, SOURCES, RealLab, up_from_nothing  # noqa: E402

from ez_homelab.testing.fleet import Fleet  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTAINERS = 40
RUNS = 7
HEALTH_INTERVAL = "15s"
"""As most apps of the catalog have it."""
BUDGET = 1.5
"""Seconds for an unchanged apply on one server (design, section 12)."""


@dataclass(frozen=True)
class Figure:
    """The median of several runs in seconds, their spread, and the ratio to the starter lab's."""

    name: str
    seconds: float
    spread: str
    containers: int
    ratio: float | None = None


def timed(lab: RealLab, *arguments: str) -> tuple[float, str]:
    """The median of the whole command's seconds, after one run to warm up, and the spread as text."""
    seconds = []
    for number in range(RUNS + 1):
        started = time.perf_counter()
        lab.ez(*arguments)
        if number:
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), f"{min(seconds):.2f} to {max(seconds):.2f}"


def measure(lab: RealLab) -> Iterator[Figure]:
    """Plan and apply with what is there, then with 40 containers."""
    before = {}
    for name, arguments in (("plan", ("plan",)), ("apply", ("apply", "--yes"))):
        seconds, spread = timed(lab, *arguments)
        before[name] = seconds
        yield Figure(f"unchanged {name}, starter lab", seconds, spread, len(lab.containers()))
    lab.server.push(SOURCES / "tests/e2e/catalog", f"{LAB}/catalog")
    # The tests' app is asked for its health each second, forty of them would be all that the server does.
    for name in ("service.yaml", "compose.yaml"):
        lab.server.run(["sed", "-i", f"s/interval: 1s/interval: {HEALTH_INTERVAL}/", f"{LAB}/catalog/echo/{name}"])
    missing = CONTAINERS - len(lab.containers())
    more = "".join(f"    - e{number}: {{app: echo}}\n" for number in range(missing))
    lab.write(f"{lab.text}  more:\n{more}")
    lab.ez("apply", "--yes")
    for name, arguments in (("plan", ("plan", "--check")), ("apply", ("apply", "--yes"))):
        seconds, spread = timed(lab, *arguments)
        yield Figure(f"unchanged {name}, 40 containers", seconds, spread, len(lab.containers()), seconds / before[name])


def main() -> None:
    """Measure and print; a figure is for people to judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    if name := os.environ.get("NAME"):
        figures = [*measure(up_from_nothing(Fleet.load(name).servers["core"]))]
    else:
        with Fleet.up(names=("core",)) as fleet:
            figures = [*measure(up_from_nothing(fleet.servers["core"]))]
    if arguments.json:
        print(json.dumps({"figures": [asdict(figure) for figure in figures]}, indent=2))
        return
    for figure in figures:
        ratio = f"{figure.ratio:.2f} times the starter lab's" if figure.ratio else ""
        print(f"{figure.name:<34} {figure.seconds:6.2f} s  ({figure.spread}, {figure.containers} containers)  {ratio}")
    print(f"budget for an unchanged apply on one server: {BUDGET} s")


if __name__ == "__main__":
    main()
