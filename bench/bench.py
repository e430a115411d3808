"""The budgets of the design, measured in one run: figure, budget, and the ratio between them (below 1 is within).

    python bench/bench.py [--json] [--lab DIR]

Whole processes are timed from outside, several times, and the median counts. With `--lab` naming a lab that is up,
the unchanged apply is measured on this machine's real Docker; without it that row says so.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

PROGRAM = Path(sys.executable).parent / "ez-homelab"
PLAN_CODE = """
import json, resource, time
from ez_homelab.plan import make_plan
from ez_homelab.testing.make_lab import desired_of, make_lab, observed_as
lab = make_lab(servers=50, apps=1000)
started = time.perf_counter()
desired = desired_of(lab)  # reads the catalog's apps, as every command does once
rendered = time.perf_counter()
observed = observed_as(desired)
looked = time.perf_counter()
plan = make_plan(desired, observed)
seconds = rendered - started + time.perf_counter() - looked
assert not plan, plan.text()[:500]
assert len(desired.routes) >= 500
print(json.dumps({"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


@dataclass(frozen=True)
class Figure:
    """One measured figure; `value` and `budget` in `unit`. `value` None: not measured here, and why."""

    name: str
    unit: str
    budget: float
    value: float | None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Measured to budget; below 1 is within."""
        return None if self.value is None else self.value / self.budget


def timed(argv: list[str], runs: int) -> tuple[float, str]:
    """The median of the whole process's seconds after one run to warm up, and the spread as text."""
    seconds = []
    for number in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(argv, check=True, capture_output=True)
        if number:
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), f"{runs} runs, {min(seconds):.3f} to {max(seconds):.3f}"


def start_up() -> list[Figure]:
    """How long `--help` takes, beside a Python that does nothing."""
    bare, _ = timed([sys.executable, "-c", "pass"], 15)
    seconds, spread = timed([str(PROGRAM), "--help"], 15)
    return [Figure("ez-homelab --help", "s", 0.12, seconds, f"{spread}; {seconds / bare:.1f} times a bare Python")]


def render_and_plan() -> list[Figure]:
    """Render (catalog read for the first time) and plan of 50 servers with 1,000 apps, in a process of its own."""
    outputs = [
        json.loads(subprocess.run([sys.executable, "-c", PLAN_CODE], check=True, capture_output=True).stdout)
        for _ in range(3)
    ]
    seconds = statistics.median(output["seconds"] for output in outputs)
    peak = max(output["peak"] for output in outputs) / 1e6
    return [
        Figure("render + plan, 50 servers, 1,000 apps", "s", 2.0, seconds, "median of 3"),
        Figure("the same: peak memory of the process", "MB", 200.0, peak, "largest of 3, the whole process"),
    ]


def unchanged_apply(lab: str | None) -> list[Figure]:
    """A second apply on a lab that is up: looks at everything, does nothing."""
    name = "unchanged apply, one server"
    if lab is None:
        return [Figure(name, "s", 1.5, None, "needs a lab that is up: --lab DIR")]
    output = subprocess.run([str(PROGRAM), "plan", "--json", "--lab", lab], capture_output=True, text=True, check=True)
    if json.loads(output.stdout)["actions"]:
        return [Figure(name, "s", 1.5, None, "the lab is not as its file says: apply it first")]
    seconds, spread = timed([str(PROGRAM), "apply", "--yes", "--lab", lab], 5)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    return [Figure(name, "s", 1.5, seconds, f"{spread}; largest child process so far {peak:.0f} MB")]


def main() -> None:
    """Measure, print, and fail for nothing: a figure is for people to judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--lab", help="the folder of a lab that is up on this machine")
    arguments = parser.parse_args()
    figures = [*start_up(), *render_and_plan(), *unchanged_apply(arguments.lab)]
    if arguments.json:
        print(json.dumps({"figures": [asdict(figure) | {"ratio": figure.ratio} for figure in figures]}, indent=2))
        return
    for figure in figures:
        value = "not measured" if figure.value is None else f"{figure.value:.3f} {figure.unit}"
        ratio = "-" if figure.ratio is None else f"{figure.ratio:.2f}"
        print(
            f"{figure.name:<40} {value:>14}  budget {figure.budget:g} {figure.unit:<3} ratio {ratio:>5}  {figure.note}"
        )


if __name__ == "__main__":
    main()
