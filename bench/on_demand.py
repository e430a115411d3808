"""What sleeping costs: a wake beside a bare start, an awake route beside a plain one, 50 apps that nobody uses.

    python bench/on_demand.py [--json] [--rounds N] [--seconds N] [--idle N]      (root; some minutes for each engine)

Real Docker, real Traefik and the product's own files, on a server of the test fleet (`tests/e2e/on_demand_lab.py`) that
is gone afterwards. Two sides of a ratio take turns in one run, so that what else the machine does hits both. With
EZ_TEST_SABLIER naming an executable the same is measured with Sablier, by its forwardAuth.
`NAME=FLEET` in the environment takes a fleet of that name whose server `naps` has the images already, and keeps it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests/e2e"))

import yaml  # noqa: E402
from on_demand_lab import DOMAIN, PACKAGES, SABLIER, LazyLab, make_images  # noqa: E402

from ez_homelab.testing.fleet import Fleet  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ez_homelab.config.model import OnDemandEngine
    from ez_homelab.testing.fleet import Server

LAZY_APPS = 50
CROWD = 200
PORT = 8080
SETTLE = 1.5
"""Seconds before each measured wake, in which what was done before comes to rest."""
HOLD = 120
ON_THE_SERVER = (HERE / "on_the_server.py").read_bytes()

QUICK, SECOND, MANY, AWAKE, PLAIN = "quick", "second", "many", "awake", "plain"
WOKEN = (QUICK, SECOND, MANY, AWAKE)
IDLE = tuple(f"idle{number}" for number in range(LAZY_APPS - len(WOKEN)))
LAB = f"""version: 1
domain: {DOMAIN}
on_demand: {{engine: ENGINE}}
stacks:
  naps:
    apps:
      {SECOND}: {{app: napper, environment: {{DELAY: "1"}}}}
      {PLAIN}: {{app: napper, lazy: off}}
""" + "".join(f"      {name}: {{app: napper}}\n" for name in (QUICK, MANY, AWAKE, *IDLE))

FAST = r"""FROM world/base
RUN printf '%s\n' global 'nbthread 1' defaults 'mode http' 'timeout connect 9s' 'timeout client 60s' \
  'timeout server 60s' 'frontend fast' 'bind :8080' \
  'http-request return status 200 content-type text/plain hdr X-App yes string ok' >/usr/local/etc/fast.cfg
CMD ["haproxy", "-db", "-f", "/usr/local/etc/fast.cfg"]
"""
"""An app that answers faster than Traefik asks: what is measured is not the app."""

MAKE_FAST = ["docker", "build", "--tag", "world/fast", "-"]

OWN: Mapping[OnDemandEngine, Sequence[str]] = {
    "builtin": ("waker", "waker-control"),
    "sablier": ("sablier", "docker-control-proxy"),
}
"""The containers of each engine."""


@dataclass(frozen=True)
class Budget:
    """What a figure of the product may be (design, section 12); `of`: its value, or its ratio."""

    limit: float
    of: str = "ratio"
    at_least: bool = False

    def __str__(self) -> str:
        return f"{self.of} {'>=' if self.at_least else '<='} {self.limit:g}"


WAKE, ROUTE, MEMORY = Budget(1.15), Budget(0.95, at_least=True), Budget(25, "value")


@dataclass(frozen=True)
class Figure:
    """One measured figure; `ratio` to what `note` names. `value` None: not measured here."""

    name: str
    unit: str
    value: float | None
    ratio: float | None = None
    budget: Budget | None = None
    note: str = ""

    @property
    def within(self) -> bool | None:
        """Whether it keeps its budget; None where it has none."""
        found = self.ratio if self.budget and self.budget.of == "ratio" else self.value
        if self.budget is None or found is None:
            return None
        return found >= self.budget.limit if self.budget.at_least else found <= self.budget.limit


class BenchLab(LazyLab):
    """The tests' lab with other apps, two of which are the fast one."""

    def __init__(self, server: Server, engine: OnDemandEngine) -> None:
        """See `LazyLab`."""
        super().__init__(server, engine, LAB)

    def _changed(self, path: str, content: bytes) -> bytes:
        changed = super()._changed(path, content)
        if not path.endswith("/naps/compose.yaml"):
            return changed
        project = yaml.safe_load(changed)
        for name in (AWAKE, PLAIN):
            project["services"][name]["image"] = "world/fast"
        return yaml.safe_dump(project, sort_keys=False).encode()


def told(lab: LazyLab, *arguments: str) -> Any:
    """What `on_the_server.py` says, run there."""
    return json.loads(lab.server.run(["python3", "-", *arguments], input=ON_THE_SERVER).stdout)


def order(lab: LazyLab, *words: str) -> Any:
    """Have the waker do something."""
    return json.loads(lab.server.docker(["exec", "waker", "python3", "-m", "waker.admin", *words]).stdout)


def leads(lab: LazyLab, name: str, where: str) -> bool:
    """Whether Traefik has confirmed that the app's name leads to the `waker` or to the `app`."""
    return bool(order(lab, "status")["apps"][name]["leads_to"] == where)


def put_to_sleep(lab: LazyLab, name: str) -> None:
    """As after its idle time."""
    if lab.engine == "builtin":
        order(lab, "sleep", name)
    else:
        lab.server.docker(["stop", name])


def woken(lab: LazyLab, name: str) -> float:
    """Seconds from a request to the first byte of its answer, while the app sleeps; it sleeps again afterwards."""
    assert not lab.runs(name), name
    time.sleep(SETTLE)
    took = float(told(lab, "through", f"{name}.{DOMAIN}"))
    put_to_sleep(lab, name)
    return took


def started(lab: LazyLab, name: str) -> float:
    """The same without Traefik and without the engine: Docker starts it. The waker keeps its hands off meanwhile."""
    assert not lab.runs(name), name
    if lab.engine == "builtin":
        order(lab, "hold", name, str(HOLD))
    time.sleep(SETTLE)
    took = float(told(lab, "bare", name, str(PORT)))
    lab.server.docker(["stop", name])
    if lab.engine == "builtin":
        order(lab, "release", name)
    return took


def in_turns(sides: Sequence[Callable[[], Any]], rounds: int) -> list[list[Any]]:
    """What each side gives, in so many rounds; each is first in every other round."""
    found: list[list[Any]] = [[] for _ in sides]
    for number in range(rounds):
        for place in [*range(len(sides))][:: -1 if number % 2 else 1]:
            found[place].append(sides[place]())
    return found


def wakes(lab: LazyLab, name: str, title: str, rounds: int) -> Iterator[Figure]:
    """A wake beside a bare start of the same container."""
    through, bare = in_turns((lambda: woken(lab, name), lambda: started(lab, name)), rounds)
    for share, word in ((0.0, "fastest"), (0.5, "median"), (0.95, "p95")):
        base, found = _quantile(bare, share), _quantile(through, share)
        yield Figure(f"{lab.engine}: {title}, bare start, {word}", "s", base, note=_spread(bare))
        # Of a few rounds p95 is the slowest, which says more of the machine: shown, and no budget.
        budget = WAKE if lab.engine == "builtin" and word == "median" else None
        note = f"{_spread(through)}; ratio to the bare start"
        yield Figure(f"{lab.engine}: {title}, woken, {word}", "s", found, found / base, budget, note)


def wrk(lab: LazyLab, name: str, seconds: int) -> tuple[float, float]:
    """Requests a second, and p99 of their time in milliseconds; raises where others than 2xx were answered."""
    argv = ["wrk", "-t2", "-c32", f"-d{seconds}s", "--latency", "-H", f"Host: {name}.{DOMAIN}", "https://127.0.0.1/"]
    said = lab.server.run(argv).stdout
    if "Non-2xx" in said:
        raise RuntimeError(said)
    rate, slow = re.search(r"Requests/sec:\s+([0-9.]+)", said), re.search(r"99%\s+([0-9.]+)(us|ms|s)", said)
    assert rate is not None, said
    assert slow is not None, said
    return float(rate[1]), float(slow[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[slow[2]]


def routes(lab: LazyLab, rounds: int, seconds: int) -> Iterator[Figure]:
    """The route of an app that is awake beside that of an app that may not sleep; the app is the same."""
    lab.compose("naps", "up", "--detach", "--wait", PLAIN)
    for name in (PLAIN, AWAKE):
        lab.until_there(name)
    if lab.engine == "builtin":
        lab.until("the route leads to the app", lambda: leads(lab, AWAKE, "app"))
    for name in (PLAIN, AWAKE):
        wrk(lab, name, 2)
    plain, awake = in_turns((lambda: wrk(lab, PLAIN, seconds), lambda: wrk(lab, AWAKE, seconds)), rounds)
    lab.compose("naps", "stop", PLAIN)
    for place, what, unit in ((0, "requests", "1/s"), (1, "p99", "ms")):
        base, found = [pair[place] for pair in plain], [pair[place] for pair in awake]
        # Of each round by itself: a busy moment is longer than a round.
        ratio = statistics.median(one / other for one, other in zip(found, base, strict=True))
        budget = ROUTE if lab.engine == "builtin" and what == "requests" else None
        note = f"{_spread(found)}; ratio to the plain route, median of the rounds"
        yield Figure(f"{lab.engine}: plain route, {what}", unit, statistics.median(base), note=_spread(base))
        yield Figure(f"{lab.engine}: awake route, {what}", unit, statistics.median(found), ratio, budget, note)


def crowd(lab: LazyLab) -> Iterator[Figure]:
    """Many requests at once to an app that sleeps, and then to the same awake."""
    before = lab.starts(MANY)
    asleep, awake = (told(lab, "many", f"{MANY}.{DOMAIN}", str(CROWD)) for _ in range(2))
    starts = lab.starts(MANY) - before
    last = {word: max(seconds for seconds, _ in answers) for word, answers in (("asleep", asleep), ("awake", awake))}
    served = sum(status == 200 for _, status in asleep)
    note = f"{served} of {CROWD} served, {starts} start{'s' * (starts != 1)}; ratio to the same while it is awake"
    yield Figure(f"{lab.engine}: {CROWD} at once, awake, last", "s", last["awake"])
    yield Figure(
        f"{lab.engine}: {CROWD} at once, asleep, last", "s", last["asleep"], last["asleep"] / last["awake"], note=note
    )


def at_rest(lab: LazyLab, seconds: int) -> Iterator[Figure]:
    """What the engine takes while nobody uses any of the apps."""
    for name in WOKEN:
        put_to_sleep(lab, name)
        lab.until_asleep(name)
    time.sleep(5 * SETTLE)
    own = OWN[lab.engine]
    before = told(lab, "usage", *own)
    began = time.monotonic()
    time.sleep(seconds)
    after = told(lab, "usage", *own)
    minutes = (time.monotonic() - began) / 60
    for name in own:
        cpu, program = ((after[name][field] - before[name][field]) / minutes for field in ("cpu", "own"))
        note = f"its own program {program:.2f}, the rest health checks; {LAZY_APPS} apps asleep"
        yield Figure(f"{name} at rest: CPU", "s/min", cpu, note=note)
        budget = MEMORY if lab.engine == "builtin" else None
        note = f"resident {after[name]['resident'] / 1e6:.1f} MB"
        yield Figure(f"{name} at rest: anonymous memory", "MB", after[name]["anonymous"] / 1e6, None, budget, note)


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if share != 0.5 else statistics.median(values)


def _spread(values: Sequence[float]) -> str:
    return f"{len(values)} rounds, {min(values):.4g} to {max(values):.4g}"


def measure(server: Server, engine: OnDemandEngine, arguments: argparse.Namespace) -> Iterator[Figure]:
    """All figures of one engine."""
    lab = BenchLab(server, engine)
    yield from wakes(lab, QUICK, "quick app", arguments.rounds)
    yield from wakes(lab, SECOND, "app of a second", arguments.rounds)
    yield from routes(lab, 5, arguments.seconds)
    yield from crowd(lab)
    yield from at_rest(lab, arguments.idle)
    yield load(engine)
    lab.remove()


def load(engine: OnDemandEngine) -> Figure:
    """How busy the machine was: where more wants to run than can, a figure says little and a ratio not much more."""
    note = f"mean of the last quarter of an hour, on {os.cpu_count()} CPUs; what is measured included"
    return Figure(f"{engine}: load of the machine", "", os.getloadavg()[2], note=note)


def engines() -> Iterator[OnDemandEngine]:
    """Those that can be measured here."""
    yield "builtin"
    if os.environ.get(SABLIER):
        yield "sablier"


def figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    """All figures, on a server of their own."""
    if name := os.environ.get("NAME"):
        server = Fleet.load(name).servers["naps"]
        server.run(MAKE_FAST, input=FAST.encode())
        for engine in engines():
            yield from measure(server, engine, arguments)
        return
    with Fleet.up(names=()) as fleet:
        server = fleet.add("naps", packages=(*PACKAGES, "wrk"))
        make_images(server)
        server.run(MAKE_FAST, input=FAST.encode())
        for engine in engines():
            yield from measure(server, engine, arguments)


def show(figure: Figure) -> None:
    """One line for a person."""
    value = "not measured" if figure.value is None else f"{figure.value:.3f} {figure.unit}"
    ratio = "-" if figure.ratio is None else f"{figure.ratio:.2f}"
    kept = {None: "", True: "kept", False: "MISSED"}[figure.within]
    budget = f"{figure.budget} {kept}" if figure.budget else ""
    print(f"{figure.name:<46} {value:>15}  ratio {ratio:>5}  {budget:<21} {figure.note}", flush=True)


def main() -> None:
    """Measure and print; a figure is for people to judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--rounds", type=int, default=15, help="of wakes of each app (default 15)")
    parser.add_argument("--seconds", type=int, default=6, help="of each run of wrk (default 6)")
    parser.add_argument("--idle", type=int, default=60, help="seconds in which nobody uses anything (default 60)")
    arguments = parser.parse_args()
    if arguments.json:
        found = [asdict(figure) | {"within": figure.within} for figure in figures(arguments)]
        print(json.dumps({"figures": found}, indent=2))
        return
    for figure in figures(arguments):
        show(figure)


if __name__ == "__main__":
    main()
