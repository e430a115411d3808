"""Images by digest on real engines: the lab's own mirror, moved tags, images of several platforms, pruning, copies.

Docker 20.10 (Debian 12) always; Docker 26 (Debian 13) where EZ_TEST_TRIXIE=1 is set. The base is built: minutes.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

import ez_homelab
from ez_homelab.hosts import Command, Completed, FileState, Host
from ez_homelab.images import mirror, resolve
from ez_homelab.images.build import build_missing
from ez_homelab.images.contents import look
from ez_homelab.images.editions import PackageEdition, load_edition
from ez_homelab.images.inventory import Needs, prunable, rows
from ez_homelab.images.lock import ImageLock, LockedImage
from ez_homelab.images.prune import prune
from ez_homelab.images.reference import OWN_MIRROR, pinned
from ez_homelab.testing.fleet import Server, engine_packages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from conftest import NewServer

MIRROR = load_edition("mirror", "2.8.2", Path(ez_homelab.__file__).parent / "catalog/apps/mirror/image")
REGISTRY = "localhost:5050"
TAG = "ez-homelab/tiny:1-aaaaaaaaaaaa"
_CONFIGURATION = """\
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}
http: {addr: "127.0.0.1:5050"}
"""
_SERVE = "exec setsid --fork docker-registry serve /root/registry.yml </dev/null >/dev/null 2>&1"
_IMPORT = 'echo "$2" >/root/text && tar -C /root -c text | docker import $3 - "$1"'
_RUN_MIRROR = (
    *("run", "--detach", "--name", "mirror", "--restart", "unless-stopped", "--user", "65533:65533", "--read-only"),
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--volume", "mirror-data:/var/lib/registry"),
    *("--env", "REGISTRY_STORAGE_DELETE_ENABLED=true", "--env", "REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR="),
    *("--publish", f"{OWN_MIRROR}:5000", MIRROR.tag),
)


class InServer:
    """A server of the fleet as a `Host`, as far as images need one; nobody else works on it, so locks are free."""

    def __init__(self, server: Server) -> None:
        self.name = server.name
        self._server = server
        self.ran: list[tuple[str, ...]] = []

    async def run(self, command: Command, *, on_line: Callable[[str], None] | None = None) -> Completed:
        """Run it in the server, and hand its lines over when it has ended."""
        self.ran.append(command.argv)
        ended = await asyncio.to_thread(
            self._server.run, command.argv, check=False, input=command.stdin, timeout=command.timeout,
            env=command.environment,
        )  # fmt: skip
        for line in (ended.stdout + ended.stderr).splitlines():
            if on_line:
                on_line(line)
        return Completed(command, ended.returncode, ended.stdout, ended.stderr)

    async def read(self, path: str) -> bytes | None:
        """The file; None where there is none."""
        there = self._server.run(["test", "-e", path], check=False).returncode == 0
        return self._server.read(path) if there else None

    async def write(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Put it there."""
        self._server.write(path, content, mode=mode)

    async def states(self, paths: Iterable[str]) -> dict[str, FileState | None]:
        """What is there."""
        found = {path: await self.read(path) for path in paths}
        return {path: FileState.of(content) if content is not None else None for path, content in found.items()}

    async def list_files(self, folder: str) -> list[str] | None:
        """All files below."""
        found = self._server.run(["find", folder, "-type", "f"], check=False)
        return sorted(found.stdout.splitlines()) if found.returncode == 0 else None

    @asynccontextmanager
    async def lock(self, path: str, holder: str) -> AsyncIterator[None]:  # noqa: ARG002
        """Nobody else is there."""
        yield

    def did(self, *words: str) -> bool:
        """Whether a command that begins so was run."""
        return any(argv[: len(words)] == words for argv in self.ran)


@dataclass
class Ground:
    """A server with an engine, the lab's own mirror, and a registry as the internet has them."""

    server: Server
    said: list[str] = field(default_factory=list)

    @property
    def host(self) -> Host:
        """The server for the code under test."""
        return cast("Host", InServer(self.server))

    def say(self, line: str) -> None:
        """Hear a line."""
        self.said.append(line)

    def publish(self, name: str, text: str, *options: str) -> str:
        """Put an image with that text under the name into the registry, and forget it here; its digest."""
        self.server.run(["sh", "-c", _IMPORT, "import", f"{REGISTRY}/{name}", text, *options])
        self.server.docker(["push", f"{REGISTRY}/{name}"])
        digest = self.digest(f"{REGISTRY}/{name}")
        self.server.docker(["image", "rm", f"{REGISTRY}/{name}"])
        return digest

    def digest(self, reference: str) -> str:
        """The digest that Docker itself names."""
        shown = self.server.docker(["image", "inspect", "--format", "{{index .RepoDigests 0}}", reference])
        return shown.stdout.strip().partition("@")[2]

    def names(self) -> set[str]:
        """The images of the engine by name."""
        return set(self.server.docker(["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]).stdout.split())

    def tiny(self, text: str) -> PackageEdition:
        """An edition whose tag stays while its content changes, as a rebuild with newer packages does."""
        dockerfile = f'ARG BASE\nFROM ${{BASE}}\nLABEL text="{text}"\nRUN echo {text} >/text\n'
        return PackageEdition("tiny", "1", TAG, {"Dockerfile": dockerfile.encode()})


SUITES = [
    "bookworm",
    pytest.param(
        "trixie",
        marks=pytest.mark.skipif(os.environ.get("EZ_TEST_TRIXIE") != "1", reason="minutes long; EZ_TEST_TRIXIE=1"),
    ),
]


@pytest.fixture(scope="module", params=SUITES)
def ground(request: pytest.FixtureRequest, new_server: NewServer) -> Iterator[Ground]:
    suite = request.param
    needed = ("debootstrap", "debian-archive-keyring", "docker-registry", "skopeo")
    server = new_server(f"images-{suite}", suite=suite, packages=(*engine_packages(suite), *needed))
    server.start_docker()
    server.write("/root/registry.yml", _CONFIGURATION)
    server.run(["sh", "-c", _SERVE])
    made = Ground(server)
    asyncio.run(build_missing(made.host, [MIRROR, made.tiny("one")], made.say))
    yield made
    server.remove()


async def test_an_edition_is_pushed_while_the_mirror_comes_up_and_fetched_by_the_same_digest(ground: Ground) -> None:
    coming = asyncio.create_task(mirror.push_edition(ground.host, TAG, OWN_MIRROR, ground.say))
    await asyncio.sleep(1)  # at least one try finds nobody there
    ground.server.docker(list(_RUN_MIRROR))
    repository, digest = await coming
    assert repository == f"{OWN_MIRROR}/ez-homelab/tiny"
    assert digest == ground.digest(TAG)
    assert await mirror.holds(ground.host, repository, digest)
    assert not await mirror.holds(ground.host, repository, f"sha256:{'0' * 64}")

    again = InServer(ground.server)
    assert await mirror.push_edition(cast("Host", again), TAG, OWN_MIRROR, ground.say) == (repository, digest)
    assert not again.did("docker", "push")

    reference = pinned(repository, "1-aaaaaaaaaaaa", digest)
    ground.server.docker(["image", "rm", TAG, f"{OWN_MIRROR}/{TAG}"])
    assert not ground.names() & {TAG, f"{OWN_MIRROR}/{TAG}"}
    await mirror.fetch(ground.host, reference, ground.say)
    assert ground.names() >= {TAG, f"{OWN_MIRROR}/{TAG}"}
    assert ground.digest(TAG) == digest
    assert ground.server.docker(["run", "--rm", reference, "cat", "/text"]).stdout == "one\n"
    assert await build_missing(ground.host, [ground.tiny("one")], ground.say) == []
    assert await mirror.push_edition(ground.host, TAG, OWN_MIRROR, ground.say) == (repository, digest)


async def test_only_this_server_reaches_the_mirror_and_it_is_nobody_special(ground: Ground) -> None:
    listening = ground.server.run(["ss", "-Hltn"]).stdout
    assert [line.split()[3] for line in listening.splitlines() if ":20444" in line] == [OWN_MIRROR]
    user = ["exec", "mirror", "sh", "-c", "id -u && ! touch /etc/x 2>/dev/null && wget -qO- http://127.0.0.1:5000/v2/"]
    assert ground.server.docker(user).stdout.split() == ["65533", "{}"]


async def test_the_digest_of_a_tag_is_kept_when_it_moves_and_renewed_when_asked(ground: Ground) -> None:
    reference = f"{REGISTRY}/app:1"
    first = ground.publish("app:1", "first")
    assert await resolve.pull(ground.host, reference, ground.say) == first
    ground.server.docker(["image", "rm", reference])
    second = ground.publish("app:1", "second")
    assert first != second

    locked = pinned(f"{REGISTRY}/app", "1", first)
    assert await resolve.pull(ground.host, locked, ground.say) == first
    assert ground.digest(reference) == first
    looking = InServer(ground.server)
    assert await resolve.pull(cast("Host", looking), reference, ground.say) == first
    assert not looking.did("docker", "pull")
    assert await resolve.newest(ground.host, reference, ground.say) == second

    lock = ImageLock().with_image(reference, LockedImage(first, f"{REGISTRY}/app", "registry", "2026-01-01"))
    found = {row.digest: row for row in rows(await look(ground.host), lock, Needs(frozenset({locked})))}
    assert found[second].moved
    assert not found[second].wanted
    assert found[first].wanted


async def test_the_digest_of_an_image_of_several_platforms_is_the_one_of_all(ground: Ground) -> None:
    ground.publish("multi:here", "here")
    ground.publish("multi:there", "there", "--platform=linux/s390x")
    parts = [f"{REGISTRY}/multi:here", f"{REGISTRY}/multi:there"]
    ground.server.docker(["manifest", "create", "--insecure", f"{REGISTRY}/multi:1", *parts])
    pushed = ground.server.docker(["manifest", "push", "--insecure", f"{REGISTRY}/multi:1"]).stdout.strip()
    index = pushed.splitlines()[-1]
    assert await resolve.pull(ground.host, f"{REGISTRY}/multi:1", ground.say) == index

    lock = ImageLock().with_image(
        f"{REGISTRY}/multi:1", LockedImage(index, f"{REGISTRY}/multi", "registry", "2026-01-01")
    )
    there = await mirror.copy_all(ground.host, lock, f"{OWN_MIRROR}/copies", ground.say)
    assert there == (f"{OWN_MIRROR}/copies/localhost-5050/multi:1",)
    repository = there[0].rpartition(":")[0]
    assert await mirror.holds(ground.host, repository, index)
    # Both platforms came along, and pruning knows that they belong to what is kept.
    contents = await look(ground.host)
    assert contents.mirror is not None
    [kept] = [manifest for manifest in contents.mirror if manifest.digest == index]
    assert len(kept.parts) == 2
    needed = Needs(frozenset({f"{repository}:1@{index}"}))
    stale = {manifest.digest for manifest in prunable(contents, ImageLock(), needed).manifests}
    assert not stale & {index, *kept.parts}


# The last one: it takes away what the others made.
async def test_prune_frees_what_nobody_needs_and_keeps_every_generation(ground: Ground) -> None:
    repository, first = await mirror.push_edition(ground.host, TAG, OWN_MIRROR, ground.say)
    digests = [first]
    for text in ("two", "three"):
        ground.server.docker(["image", "rm", TAG])
        await build_missing(ground.host, [ground.tiny(text)], ground.say)
        digests.append((await mirror.push_edition(ground.host, TAG, OWN_MIRROR, ground.say))[1])
    assert len(set(digests)) == 3
    one, _, three = (pinned(repository, "1-aaaaaaaaaaaa", digest) for digest in digests)
    before = _mirror_size(ground)

    # The second is nobody's any more; the first, which no tag names, is a kept generation's.
    needs = Needs(frozenset({three, MIRROR.tag}), {7: frozenset({one}), 9: frozenset({three})})
    contents = await look(ground.host)
    stale = prunable(contents, ImageLock(), needs)
    assert digests[1] in {manifest.digest for manifest in stale.manifests}
    done = await prune(ground.host, stale, ground.say)
    assert any(line.startswith("in the mirror: ez-homelab/tiny:1-aaaaaaaaaaaa") for line in done)

    assert not prunable(await look(ground.host), ImageLock(), needs)
    assert _mirror_size(ground) < before
    for reference, text in ((one, "one"), (three, "three")):
        ground.server.docker(["image", "rm", "--force", reference], check=False)
        await mirror.fetch(ground.host, reference, ground.say)
        assert ground.server.docker(["run", "--rm", reference, "cat", "/text"]).stdout == f"{text}\n"
    assert not await mirror.holds(ground.host, repository, digests[1])
    assert MIRROR.tag in ground.names()
    assert any(name.startswith("ez-homelab/base:") for name in ground.names())

    # What was collected can be pushed again: the mirror does not go on vouching for it.
    await build_missing(
        ground.host, [PackageEdition("tiny", "2", "ez-homelab/tiny:2-b", ground.tiny("two").files)], ground.say
    )
    again = await mirror.push_edition(ground.host, "ez-homelab/tiny:2-b", OWN_MIRROR, ground.say)
    ground.server.docker(["image", "rm", "ez-homelab/tiny:2-b", f"{OWN_MIRROR}/ez-homelab/tiny:2-b"])
    await mirror.fetch(ground.host, pinned(again[0], "2-b", again[1]), ground.say)


def _mirror_size(ground: Ground) -> int:
    return int(ground.server.docker(["exec", "mirror", "du", "-sk", "/var/lib/registry"]).stdout.split()[0])
