"""The mirror, the digests of pulls, and what a server has, on a host in memory. Real ones: tests/e2e/test_images.py."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ez_homelab.errors import CommandError, PrerequisiteError
from ez_homelab.hosts.protocol import Completed
from ez_homelab.images import mirror, resolve
from ez_homelab.images.contents import look, mirror_manifests
from ez_homelab.images.inventory import Manifest, Prunable, StaleImage
from ez_homelab.images.lock import ImageLock, LockedImage
from ez_homelab.images.prune import prune
from ez_homelab.images.reference import OWN_MIRROR, Reference
from ez_homelab.testing.fake_host import FakeHost

if TYPE_CHECKING:
    from ez_homelab.hosts.protocol import Command

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
TAG = "ez-homelab/app:1-0"
HERE = f"{OWN_MIRROR}/ez-homelab/app"
REFUSED = 'Get "http://127.0.0.1:20444/v2/": dial tcp 127.0.0.1:20444: connect: connection refused'


def ignore(_: str) -> None:
    """Nobody listens."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "PAUSES", (0.0,) * 3)


class Engine:
    """Answers as Docker does: images by name with their digests, and a registry that has some of these."""

    def __init__(self, **digests: str) -> None:
        self.known: dict[str, list[str]] = {TAG: [], **{name: [pin] for name, pin in digests.items()}}
        self.held: set[str] = set()
        self.pushes = B
        self.refuses = 0
        self.host = FakeHost()
        self.host.answer(lambda command: command.argv[0] == "docker", does=self.answer)

    def answer(self, command: Command) -> Completed:
        words = command.argv[1:]
        if words[0] in ("push", "pull", "manifest") and self.refuses:
            self.refuses -= 1
            return Completed(command, 1, "", REFUSED)
        match words:
            case ("image", "inspect", *_, name):
                if name not in self.known:
                    return Completed(command, 1, "\n", f"Error: No such image: {name}")
                return Completed(command, 0, json.dumps(self.known[name]), "")
            case ("image", "ls", *_):
                pins = [f"{pin.partition('@')[0]}:<none> {pin}" for pins in self.known.values() for pin in pins]
                return Completed(command, 0, "\n".join([*(f"{name} x@<none>" for name in self.known), *pins]), "")
            case ("manifest", "inspect", *_, name):
                there = name in self.held
                return Completed(command, 0 if there else 1, "", "" if there else f"no such manifest: {name}")
            case ("push", name):
                self.held.add(f"{name.rpartition(':')[0]}@{self.pushes}")
                return Completed(command, 0, f"1-0: digest: {self.pushes} size: 527\n", "")
            case ("pull", name):
                self.known[name] = [f"{Reference.parse(name).name}@{self.pushes}"]
                return Completed(command, 0, f"Digest: {self.pushes}\n", "")
            case _:
                return Completed(command, 0, "", "")

    def ran(self, *words: str) -> list[tuple[str, ...]]:
        return [command.argv for command in self.host.commands if command.argv[: len(words)] == words]


async def test_a_new_edition_is_named_pushed_and_known_by_what_the_push_tells() -> None:
    engine = Engine()
    assert await mirror.push_edition(engine.host, TAG, OWN_MIRROR, ignore) == (HERE, B)
    assert engine.ran("docker", "tag") == [("docker", "tag", TAG, f"{HERE}:1-0")]
    assert engine.ran("docker", "push") == [("docker", "push", f"{HERE}:1-0")]


async def test_what_the_mirror_has_is_not_pushed_and_what_it_lost_is() -> None:
    engine = Engine(**{TAG: f"{HERE}@{A}"})
    engine.held.add(f"{HERE}@{A}")
    assert await mirror.push_edition(engine.host, TAG, OWN_MIRROR, ignore) == (HERE, A)
    assert not engine.ran("docker", "push")
    engine.held.clear()
    assert await mirror.push_edition(engine.host, TAG, OWN_MIRROR, ignore) == (HERE, B)


async def test_a_mirror_that_comes_up_is_waited_for() -> None:
    engine = Engine()
    engine.refuses = 2
    assert await mirror.push_edition(engine.host, TAG, OWN_MIRROR, ignore) == (HERE, B)
    engine.refuses = 2
    assert await mirror.holds(engine.host, HERE, B)
    engine.refuses = 2
    await mirror.fetch(engine.host, f"{HERE}:1-0@{B}", ignore)


async def test_a_mirror_that_stays_away_is_an_error() -> None:
    engine = Engine()
    engine.refuses = 100
    for doing in (
        mirror.push_edition(engine.host, TAG, OWN_MIRROR, ignore),
        mirror.holds(engine.host, HERE, A),
        mirror.fetch(engine.host, f"{HERE}:1-0@{A}", ignore),
    ):
        with pytest.raises(CommandError) as refused:
            await doing
        assert "connection refused" in refused.value.evidence
        assert refused.value.fix


async def test_a_push_that_is_refused_for_good_is_tried_once() -> None:
    engine = Engine()
    engine.host.answer(("docker", "push", f"{HERE}:1-0"), status=1, stderr="write /var/lib: no space left on device")
    with pytest.raises(CommandError, match="could not be put into the mirror") as refused:
        await mirror.push_edition(engine.host, TAG, OWN_MIRROR, ignore)
    assert refused.value.cause == "the disk is full"
    assert refused.value.fix == "docker logs mirror"
    assert len(engine.ran("docker", "push")) == 1


async def test_a_pull_by_digest_names_the_image_again() -> None:
    engine = Engine()
    del engine.known[TAG]
    engine.pushes = A
    assert await resolve.pull(engine.host, f"{HERE}:1-0@{A}", ignore) == A
    assert engine.ran("docker", "tag") == [
        ("docker", "tag", f"{HERE}@{A}", f"{HERE}:1-0"),
        ("docker", "tag", f"{HERE}@{A}", TAG),
    ]
    assert await resolve.pull(engine.host, f"{HERE}:1-0@{A}", ignore) == A
    assert len(engine.ran("docker", "pull")) == 1


async def test_an_image_that_is_there_keeps_its_digest_and_one_that_is_not_gets_it_from_the_registry() -> None:
    engine = Engine(**{"prom/prometheus:v3": f"prom/prometheus@{A}"})
    assert await resolve.pull(engine.host, "docker.io/prom/prometheus:v3", ignore) == B  # not under that name
    engine.known["docker.io/prom/prometheus:v3"] = [f"prom/prometheus@{A}"]
    assert await resolve.pull(engine.host, "docker.io/prom/prometheus:v3", ignore) == A
    assert await resolve.newest(engine.host, "prom/prometheus:v3", ignore) == B


async def test_an_image_with_two_digests_is_asked_about() -> None:
    engine = Engine()
    engine.known["a/b:1"] = [f"a/b@{A}", f"a/b@{B}", f"ghcr.io/a/b@{A}"]
    assert await resolve.digests(engine.host, "a/b:1", "docker.io/a/b") == (A, B)
    assert await resolve.pull(engine.host, "a/b:1", ignore) == B
    assert engine.ran("docker", "pull")


async def test_a_pull_that_tells_no_digest_is_an_error() -> None:
    engine = Engine()
    engine.host.answer(("docker", "pull", "a/b:1"), stdout="Status: fine\n")
    with pytest.raises(CommandError, match="digest of a/b:1"):
        await resolve.newest(engine.host, "a/b:1", ignore)


async def test_an_engine_that_does_not_answer_is_not_an_image_that_is_missing() -> None:
    host = FakeHost()
    host.answer(lambda _: True, status=1, stderr="Cannot connect to the Docker daemon")
    with pytest.raises(CommandError, match="could not be looked at"):
        await resolve.digests(host, TAG, HERE)
    with pytest.raises(CommandError, match="could not be listed"):
        await look(host)
    with pytest.raises(CommandError, match="could not be looked into"):
        await mirror_manifests(host)


LOCK = (
    ImageLock()
    .with_image("prom/prometheus:v3", LockedImage(A, "docker.io/prom/prometheus", "registry", "2026-11-22"))
    .with_image(TAG, LockedImage(B, HERE, "packages", "2026-11-22"))
)


async def test_copies_keep_digests_and_every_platform() -> None:
    host = FakeHost()
    host.answer(lambda command: command.argv[0] == "skopeo")
    there = await mirror.copy_all(host, LOCK, "registry.lan/lab", ignore)
    assert there == ("registry.lan/lab/ez-homelab/app:1-0", "registry.lan/lab/prom/prometheus:v3")
    keeping = ("skopeo", "copy", "--all", "--preserve-digests")
    assert [command.argv for command in host.commands[1:]] == [
        (*keeping, "--src-tls-verify=false", f"docker://{HERE}@{B}", f"docker://{there[0]}"),
        (*keeping, f"docker://docker.io/prom/prometheus@{A}", f"docker://{there[1]}"),
    ]


async def test_copies_come_from_where_the_lab_pulls() -> None:
    host = FakeHost()
    host.answer(lambda command: command.argv[0] == "skopeo")
    await mirror.copy_all(host, LOCK, "registry.lan", ignore, "cache.lan:5000")
    sources = [command.argv[-2] for command in host.commands[1:]]
    assert sources == [f"docker://{HERE}@{B}", f"docker://cache.lan:5000/prom/prometheus@{A}"]


async def test_without_skopeo_nothing_is_copied() -> None:
    host = FakeHost()
    with pytest.raises(PrerequisiteError) as refused:
        await mirror.copy_all(host, LOCK, "registry.lan", ignore)
    assert refused.value.fix == "apt-get install skopeo"
    assert len(host.commands) == 1


async def test_a_copy_that_is_refused_says_which() -> None:
    host = FakeHost()
    host.answer(("skopeo", "--version"))
    host.answer(lambda command: "copy" in command.argv, status=1, stderr="unauthorized: authentication required")
    with pytest.raises(CommandError, match="ez-homelab/app:1-0 could not be copied") as refused:
        await mirror.copy_all(host, LOCK, "registry.lan", ignore)
    assert "docker login" in refused.value.fix


STORE = "/var/lib/registry/docker/registry/v2/repositories/"


def stored(*manifests: tuple[str, str, str]) -> str:
    lines = [f"{STORE}ez-homelab/app/_layers/sha256/{'c' * 64}/link"]
    for path, digest, tag in manifests:
        lines.append(f"{STORE}{path}/_manifests/revisions/sha256/{digest[7:]}/link")
        lines += [f"{STORE}{path}/_manifests/tags/{tag}/index/sha256/{digest[7:]}/link"] if tag else []
    return "\n".join([*lines, f"{STORE}ez-homelab/app/_manifests/tags/1-0/current/link", ""])


async def test_the_mirrors_manifests_with_those_that_no_tag_names() -> None:
    host = FakeHost()
    host.answer(
        lambda command: "find" in command.argv, stdout=stored(("ez-homelab/app", A, "1-0"), ("ez-homelab/app", B, ""))
    )
    index = {"manifests": [{"digest": A}, {"digest": "sha256:other"}]}
    host.answer(lambda command: "cat" in command.argv, stdout='{"config": {}}\n' + json.dumps(index, indent=1))
    assert await mirror_manifests(host) == (
        Manifest("ez-homelab/app", A, ("1-0",)),
        Manifest("ez-homelab/app", B, (), (A, "sha256:other")),
    )


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("Error: No such container: mirror", None),
        ("Error response from daemon: Container 1f is not running", None),
        (f"find: '{STORE}': No such file or directory", ()),
    ],
)
async def test_a_mirror_that_is_not_there_is_unknown_and_a_new_one_is_empty(said: str, found: object) -> None:
    host = FakeHost()
    host.answer(lambda _: True, status=1, stderr=said)
    assert await mirror_manifests(host) == found


async def test_a_look_knows_names_digests_and_containers() -> None:
    host = FakeHost()
    host.answer(lambda command: command.argv[1:3] == ("container", "ls"), stdout="c1\nc2\n")
    host.answer(lambda command: command.argv[1:3] == ("image", "ls"), stdout=f"{A}\n{A}\n{B}\n")
    containers = [{"Image": A, "Name": "/wiki"}, {"Image": A, "Name": "/again"}]
    images = [
        {"Id": A, "RepoTags": [TAG, "x:<none>"], "RepoDigests": [f"{HERE}@{B}", "<none>@<none>"], "Size": 7},
        {"Id": B, "RepoTags": [], "RepoDigests": None, "Size": 1},
    ]
    # The second container goes away between the two questions.
    host.answer(
        ("docker", "container", "inspect", "c1", "c2"),
        status=1,
        stdout=json.dumps(containers),
        stderr="No such container",
    )
    host.answer(("docker", "image", "inspect", A, B), stdout=json.dumps(images))
    found = await look(host, None)
    assert found.mirror is None
    [image] = found.images
    assert (image.names, image.pins, image.containers) == ((TAG,), (f"{HERE}@{B}",), ("again", "wiki"))


STALE = StaleImage(TAG, A, (TAG, f"{HERE}:1-0"), (f"{HERE}@{A}",), 7)


async def test_pruning_takes_every_name_and_forces_nothing() -> None:
    host = FakeHost()
    host.answer(lambda command: command.argv[:3] == ("docker", "image", "rm"))
    host.answer(("docker", "image", "rm", f"{HERE}@{A}"), status=1, stderr="Error: No such image")
    assert await prune(host, Prunable((STALE,)), ignore) == Prunable((STALE,)).lines()
    assert [command.argv[3:] for command in host.commands] == [(TAG,), (f"{HERE}:1-0",), (f"{HERE}@{A}",)]


async def test_an_image_that_came_into_use_stays() -> None:
    host = FakeHost()
    said = "conflict: unable to remove repository reference (must force) - container 1 is using (in use)"
    host.answer(lambda _: True, status=1, stderr=said)
    with pytest.raises(CommandError, match="could not be removed") as refused:
        await prune(host, Prunable((STALE,)), ignore)
    assert refused.value.cause == "something has come to use it meanwhile"


@pytest.mark.parametrize("obeys", [True, False])
async def test_the_mirror_is_asked_to_forget_then_looked_at_then_collected(*, obeys: bool) -> None:
    host = FakeHost()
    left = [("ez-homelab/app", A, "1-0"), ("ez-homelab/app", B, "")]
    removed = []

    def delete(command: Command) -> Completed:
        removed.append(command.argv[-1])
        del left[obeys:]
        return Completed(command, 0, "", "")

    host.answer(lambda command: "wget" in command.argv, does=delete)
    host.answer(lambda command: "cat" in command.argv, stdout="{}{}"[: 2 * len(left)])
    host.answer(lambda command: "find" in command.argv, does=lambda command: Completed(command, 0, stored(*left), ""))
    host.answer(lambda command: "cat" in command.argv, does=lambda command: Completed(command, 0, "{}" * len(left), ""))
    host.answer(lambda command: "garbage-collect" in command.argv)
    stale = Prunable((), (Manifest("ez-homelab/app", B),))
    if not obeys:
        left.reverse()
        host.answer(lambda command: "wget" in command.argv, status=8)
        with pytest.raises(CommandError, match="did not remove all"):
            await prune(host, stale, ignore)
        return
    await prune(host, stale, ignore)
    assert removed == [f"http://127.0.0.1:5000/v2/ez-homelab/app/manifests/{B}"]
    assert host.commands[-1].argv[3:5] == ("registry", "garbage-collect")
    assert "--delete-untagged" not in host.commands[-1].argv
