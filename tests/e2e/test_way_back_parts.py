"""Copies of data and the way back, with a real engine and real disks: cut off at every step, and out of space."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from ez_homelab.apply import containers, copies, files, networks
from ez_homelab.apply.executor import Outcome
from ez_homelab.apply.pending import make_pending, read_pending
from ez_homelab.apply.way_back import WentBackError, finish_pending, go_back, start_stopped
from ez_homelab.errors import CommandError, EzError, HealthError, PrerequisiteError
from ez_homelab.hosts import Command, Completed, FileState, Host
from ez_homelab.observe.look import look
from ez_homelab.observe.observed import AppliedRecord, ObservedServer
from ez_homelab.plan import Action
from ez_homelab.plan.copies import copy_actions
from ez_homelab.prerequisites.compose_binary import fetch
from ez_homelab.prerequisites.compose_release import PLUGIN_PATH, RELEASES
from ez_homelab.render.desired import (
    FINGERPRINT_LABEL,
    MARKER,
    DesiredCertificate,
    DesiredFile,
    DesiredNetwork,
    DesiredServer,
    DesiredService,
    DesiredStack,
    DesiredVolume,
)
from ez_homelab.testing.fleet import Server, engine_packages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from conftest import NewServer

BASE = 7
DATA = "/var/lib/docker/volumes/wiki-db/_data"
COPY = f"{copies.COPIES}/{BASE}/wiki-db"
_SERVE = "trap exit TERM; while :; do sleep 0.1; done"
_BREAK = "echo altered >/data/page; rm /data/sub/index; echo cannot upgrade the database; exit 1"
_MAKE_DATA = (
    "mkdir sub && echo first >page && echo >sub/index && ln page linked && truncate -s 1G hole"
    " && chown -R 1000:100 . && chmod 2750 . && chmod 640 page"
)
_MAKE_IMAGE = 'tar -C / -c bin/busybox | docker import --change "$1" - $2'
_STATES = """for path; do
  if [ -f "$path" ]; then echo "$(sha256sum <"$path" | cut -c-64) $(stat -c '%a %u %g' "$path")"
  elif [ -e "$path" ]; then echo "- $(stat -c '%a %u %g' "$path")"; else echo; fi
done"""


class Killed(BaseException):
    """Our own process was killed; what it had started in the server goes on."""


class InServer:
    """A `Host` on a server of the fleet. With `kill_at`, the command or write that has these words is the last one."""

    def __init__(self, server: Server) -> None:
        self.name = server.name
        self.kill_at = ""
        self.before: Callable[[str], None] = lambda _text: None
        self._server = server

    async def run(self, command: Command, *, on_line: Callable[[str], None] | None = None) -> Completed:
        self.before(str(command))
        killed = self._is_last(str(command))
        argv = ["setsid", "--fork", *command.argv] if killed else [*command.argv]
        ended = await asyncio.to_thread(
            self._server.run, argv, check=False, timeout=min(command.timeout, 300), directory=command.directory
        )
        if killed:
            raise Killed
        for line in (ended.stdout + ended.stderr).splitlines():
            if on_line:
                on_line(line)
        return Completed(command, ended.returncode, ended.stdout, ended.stderr)

    async def read(self, path: str) -> bytes | None:
        there = self._server.run(["test", "-f", path], check=False).returncode == 0
        return self._server.read(path) if there else None

    async def write(self, path: str, content: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
        self._server.write(path, content, mode=mode)
        self._server.run(["chown", f"{uid}:{gid}", path])
        if self._is_last(f"write {path}"):
            raise Killed

    async def states(self, paths: Iterable[str]) -> dict[str, FileState | None]:
        wanted = [*paths]
        shown = self._server.run(["sh", "-c", _STATES, "states", *wanted]).stdout.split("\n")
        return {path: _state(line.split()) for path, line in zip(wanted, shown, strict=False)}

    async def list_files(self, folder: str) -> list[str] | None:
        found = self._server.run(["find", folder, "-type", "f"], check=False)
        return found.stdout.splitlines() if found.returncode == 0 else None

    async def remove(self, path: str, *, prune_below: str | None = None) -> None:
        assert prune_below is None
        self._server.run(["rm", "-f", path])
        if self._is_last(f"remove {path}"):
            raise Killed

    def _is_last(self, text: str) -> bool:
        return bool(self.kill_at) and self.kill_at in text


def _state(words: list[str]) -> FileState | None:
    return FileState(words[0].strip("-"), int(words[1], 8), int(words[2]), int(words[3])) if words else None


def version(tag: str) -> DesiredServer:
    """The server with one app, in that version."""
    compose = f"""name: wiki
services:
  wiki:
    container_name: wiki
    image: wiki:{tag}
    restart: "{"no" if tag == "broken" else "unless-stopped"}"
    labels: {{{FINGERPRINT_LABEL}: "{tag}"}}
    volumes: ["wiki-db:/data"]
    networks: [edge-wiki]
    healthcheck: {{test: [CMD, /bin/busybox, test, -f, /data/sub/index], interval: 0.2s, timeout: 5s, retries: 5}}
volumes: {{wiki-db: {{external: true}}}}
networks: {{edge-wiki: {{external: true}}}}
"""
    folder = "/opt/stacks/wiki"
    extra = [] if tag == "1" else [DesiredFile(f"{folder}/config/new.conf", b"new\n")]
    written = [
        DesiredFile(f"{folder}/{MARKER}", b"x\n"),
        DesiredFile(f"{folder}/compose.yaml", compose.encode()),
        *extra,
    ]
    service = DesiredService(
        "wiki", "wiki", "wiki", f"wiki:{tag}", f"wiki:{tag}", tag, networks=("edge-wiki",), volumes=("wiki-db",),
        ready_within=20.0,
    )  # fmt: skip
    return DesiredServer(
        "core", tuple(written), (), (DesiredNetwork("edge-wiki"),), (DesiredVolume("wiki-db", "", "database"),),
        (DesiredStack("wiki", (service,)),), DesiredCertificate("/opt/stacks/core/certificate.yml", (), 0, 0),
    )  # fmt: skip


OLD, BROKEN, GOOD = version("1"), version("broken"), version("2")


@pytest.fixture(scope="module")
def server(new_server: NewServer) -> Iterator[Server]:
    """A server with an engine, Compose, a good and a broken version of an app, and a neighbour."""
    made = new_server(packages=(*engine_packages("bookworm"), "busybox-static"))
    made.start_docker()
    architecture = made.run(["dpkg", "--print-architecture"]).stdout.strip()
    made.run(["mkdir", "-p", PLUGIN_PATH.rpartition("/")[0]])
    made.run(["sh", "-c", 'cat >"$0" && chmod 755 "$0"', PLUGIN_PATH], input=asyncio.run(fetch(RELEASES[architecture])))
    for tag, program in (("1", _SERVE), ("2", _SERVE), ("broken", _BREAK)):
        change = f'CMD ["/bin/busybox", "sh", "-c", "{program}"]'
        made.run(["sh", "-c", _MAKE_IMAGE, "make", change, f"wiki:{tag}"])
    made.docker(["run", "-d", "--name", "neighbour", "--network", "none", "wiki:1"])
    yield made
    made.remove()


@pytest.fixture
def host(server: Server) -> Iterator[InServer]:
    """The server with the old version running on data of its own."""
    host = InServer(server)
    server.run(
        ["sh", "-c", "umount /var/lib/ez-homelab/copies; rm -rf /var/lib/ez-homelab /opt/stacks/wiki"], check=False
    )
    server.docker(["rm", "-f", "wiki"], check=False)
    server.docker(["volume", "rm", "-f", "wiki-db"])
    server.docker(["volume", "create", "wiki-db"])
    server.run(["sh", "-c", f"cd {DATA} && {_MAKE_DATA}"])

    async def start() -> None:
        await networks.make_missing(cast("Host", host), OLD, OLD.services)
        for file in OLD.files:
            await host.write(file.path, file.content)
        await containers.put_back(cast("Host", host), OLD.services[0], lambda _line: None)

    asyncio.run(start())
    yield host
    server.run(["umount", copies.COPIES], check=False)


def content(server: Server) -> str:
    """Everything about the data: names, owners, modes, links, sizes, times, and what the page says."""
    told = "find . -type f -printf '%p %U:%G %m %n %s %T@\\n' -o -printf '%p %U:%G %m\\n' | sort && cat page"
    return server.run(["sh", "-c", f"cd {DATA} && {told}"]).stdout


def started(server: Server, name: str = "wiki") -> tuple[str, str]:
    """The container's image, and when it was started; empty where it does not run."""
    shown = server.docker(
        ["inspect", "-f", "{{.Config.Image}} {{.State.StartedAt}} {{.State.Running}}", name], check=False
    )
    image, when, runs = shown.stdout.split() if shown.returncode == 0 else ("", "", "false")
    return (image, when) if runs == "true" else ("", "")


async def seen(host: InServer, wanted: DesiredServer) -> ObservedServer:
    """What a look finds, after an apply of the old version."""
    found = await look(cast("Host", host), wanted)
    assert isinstance(found, ObservedServer)
    return replace(found, applied=AppliedRecord({}, "", {"wiki": "wiki:1"}, {}))


def kill_engine(server: Server) -> None:
    """Docker's engine is gone, without a chance to stop anything."""
    server.run(["sh", "-c", "kill -KILL $(pidof dockerd) && while pidof dockerd; do sleep 0.1; done"])


def start_engine(server: Server) -> None:
    """It starts again after that. What has no restart policy stays stopped, the neighbour too."""
    server.run(["rm", "-f", "/run/docker.sock"])
    server.start_docker()
    server.docker(["start", "neighbour"])


async def copied(host: InServer, wanted: DesiredServer) -> Action:
    """Take the copy that the plan asks for."""
    (action,) = copy_actions(wanted, await seen(host, wanted))
    await copies.copy_volume(cast("Host", host), action, BASE)
    return action


async def updated(host: InServer, wanted: DesiredServer) -> EzError | None:
    """Update the app; where the new version fails, go back. Returns the error to report."""
    real = cast("Host", host)
    found = await seen(host, wanted)
    actions = [*copy_actions(wanted, found)]
    for action in actions:
        await copies.copy_volume(real, action, BASE)
    actions += [Action("core", "file", file.path, "replace", "") for file in wanted.files if file not in OLD.files]
    for action in actions[1:]:
        await files.perform(real, wanted, action)
    outcomes = [Outcome(action, "done") for action in actions]
    service = Action("core", "service", "wiki/wiki", "recreate", "")
    try:
        await containers.perform(real, wanted, service, lambda _line: None)
    except HealthError as error:
        outcomes.append(Outcome(service, "failed", error))
        pending = await make_pending(real, "wiki", BASE, OLD, wanted, found, outcomes)
        assert pending is not None
        return await go_back(real, pending, OLD, error, lambda _line: None)
    return None


def as_before(server: Server, data: str) -> None:
    """The old version runs on its own data, and nothing is left to do."""
    assert started(server)[0] == "wiki:1"
    assert content(server) == data
    assert server.read("/opt/stacks/wiki/compose.yaml") == OLD.files[1].content
    assert server.run(["test", "-e", "/opt/stacks/wiki/config/new.conf"], check=False).returncode == 1
    assert server.run(["test", "-e", copies.PENDING], check=False).returncode == 1


async def test_a_version_that_fails_goes_back_with_its_data(host: InServer, server: Server) -> None:
    data, neighbour = content(server), started(server, "neighbour")
    error = await updated(host, BROKEN)
    assert isinstance(error, WentBackError)
    assert error.what == "wiki did not get well with its new version and was taken back to generation 7"
    assert "cannot upgrade the database" in error.evidence
    assert error.to_dict()["now_runs"] == {"wiki": "wiki:1"}
    assert error.to_dict()["generation"] == BASE
    as_before(server, data)
    assert started(server, "neighbour") == neighbour
    assert await copies.complete_copies(cast("Host", host), "wiki-db") == frozenset()


async def test_a_version_that_gets_well_keeps_the_copy_from_before(host: InServer, server: Server) -> None:
    data = content(server)
    assert await updated(host, GOOD) is None
    assert started(server)[0] == "wiki:2"
    server.run(["sh", "-c", f"echo second >{DATA}/page"])
    assert await start_stopped(cast("Host", host)) == ()
    assert await copies.complete_copies(cast("Host", host), "wiki-db") == {BASE}
    assert server.run(["stat", "-c", "%a", copies.COPIES]).stdout.strip() == "700"
    server.docker(["stop", "wiki"])
    await copies.restore_volume(cast("Host", host), "wiki-db", BASE)
    assert content(server) == data
    await copies.prune_copies(cast("Host", host), {BASE})
    assert await copies.copied_bases(cast("Host", host)) == {BASE}
    await copies.prune_copies(cast("Host", host), {BASE + 1})
    assert await copies.copied_bases(cast("Host", host)) == frozenset()


# Every single step is cut off in tests/unit/apply; here those whose programs live on in the server.
WHILE_COPYING = ["container stop", "cp --archive", f"write {COPY}/complete"]


@pytest.mark.parametrize("point", WHILE_COPYING)
async def test_a_run_killed_while_it_copies(host: InServer, server: Server, point: str) -> None:
    data = content(server)
    host.kill_at = point
    with pytest.raises(Killed):
        await copied(host, GOOD)
    host.kill_at = ""
    assert await start_stopped(cast("Host", host)) == ("wiki",)
    assert started(server)[0] == "wiki:1"
    assert await copies.complete_copies(cast("Host", host), "wiki-db") == frozenset()
    server.run(["sh", "-c", f"echo later >{DATA}/page"])
    later = content(server)
    assert later != data
    await copied(host, GOOD)
    assert started(server) == ("", "")
    await copies.restore_volume(cast("Host", host), "wiki-db", BASE)
    assert content(server) == later


ON_THE_WAY_BACK = ["-mindepth 1 -delete", f"--one-file-system -- {COPY}/data", "--force-recreate"]


@pytest.mark.parametrize("point", ON_THE_WAY_BACK)
async def test_a_run_killed_on_the_way_back(host: InServer, server: Server, point: str) -> None:
    data = content(server)

    def arm(text: str) -> None:
        if "docker logs" in text:
            host.kill_at = point

    host.before = arm
    with pytest.raises(Killed):
        await updated(host, BROKEN)
    host.before, host.kill_at = lambda _text: None, ""
    (pending,) = await read_pending(cast("Host", host))
    assert await start_stopped(cast("Host", host)) == ()
    error = await finish_pending(cast("Host", host), pending, OLD, lambda _line: None)
    assert isinstance(error, WentBackError), error.to_dict()
    assert error.failure.what.startswith("wiki/wiki did not become healthy")
    as_before(server, data)


@contextmanager
def small_disk(server: Server, megabytes: int) -> Iterator[None]:
    """A disk of that size for the copies."""
    server.run(["mkdir", "-p", copies.COPIES])
    server.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", copies.COPIES])
    yield
    server.run(["umount", copies.COPIES])


async def test_without_space_for_the_copy_nothing_is_touched(host: InServer, server: Server) -> None:
    before = started(server)
    with small_disk(server, 60):
        with pytest.raises(PrerequisiteError) as refused:
            await updated(host, GOOD)
        assert "MB needed" in refused.value.evidence
        assert started(server) == before
        assert await start_stopped(cast("Host", host)) == ()


async def test_a_disk_that_fills_while_it_copies(host: InServer, server: Server) -> None:
    server.run(["sh", "-c", f"head -c 20M /dev/urandom >{DATA}/big"])
    data = content(server)

    def fill(text: str) -> None:
        if "cp --archive" in text:
            server.run(["sh", "-c", f"head -c 100M /dev/zero >{copies.COPIES}/filler"])

    with small_disk(server, 110):
        host.before = fill
        with pytest.raises(CommandError) as failed:
            await updated(host, GOOD)
        assert failed.value.cause == "the disk is full"
        assert "No space left on device" in failed.value.evidence
        assert started(server)[0] == "wiki:1"
        assert content(server) == data
        assert await copies.complete_copies(cast("Host", host), "wiki-db") == frozenset()
        assert await start_stopped(cast("Host", host)) == ()


async def test_data_that_another_version_may_have_changed_is_not_copied_as_if_it_were_good(
    host: InServer, server: Server
) -> None:
    assert await updated(host, GOOD) is None
    server.run(["rm", f"{COPY}/complete"])
    found = await seen(host, BROKEN)
    (action,) = copy_actions(BROKEN, found)
    before = started(server)
    with pytest.raises(PrerequisiteError) as refused:
        await copies.copy_volume(cast("Host", host), action, BASE)
    assert refused.value.what.startswith("wiki:2 may have changed the data of wiki-db")
    assert started(server) == before


def test_an_engine_that_dies_as_it_stops_the_app_for_a_copy_leaves_it_to_the_next_run(
    server: Server, host: InServer
) -> None:
    before = content(server)

    def dies(text: str) -> None:
        if "container stop" in text:
            server.docker(["stop", "wiki"])
            kill_engine(server)

    host.before = dies
    with pytest.raises(CommandError, match="cannot stop wiki"):
        asyncio.run(copied(host, GOOD))
    host.before = lambda _text: None
    start_engine(server)
    assert started(server) == ("", "")
    assert asyncio.run(start_stopped(cast("Host", host))) == ("wiki",)
    assert started(server)[0] == "wiki:1"
    assert content(server) == before
    assert asyncio.run(updated(host, GOOD)) is None
