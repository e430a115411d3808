"""Building, on a host in memory: what is run, in which order, and what a failure leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ez_homelab.errors import CommandError, LockedError, PrerequisiteError
from ez_homelab.hosts.protocol import Completed
from ez_homelab.images import build, recipe
from ez_homelab.images.editions import BASE_TAG, PackageEdition, context_tar
from ez_homelab.testing.fake_host import FakeHost

if TYPE_CHECKING:
    from ez_homelab.hosts.protocol import Command

OUTPUTS = Path(__file__).parent / "outputs"
EDITION = PackageEdition("app", "1", "ez-homelab/app:1-abc", {"Dockerfile": b"ARG BASE\nFROM ${BASE}\n"})
OTHER = PackageEdition("other", "1", "ez-homelab/other:1-def", {"Dockerfile": b"ARG BASE\nFROM ${BASE}\n"})


class Engine:
    """Answers as a server with Docker and debootstrap would; `fails` names a program or a tag whose build fails."""

    def __init__(self, *held: str, fails: str = "", output: str = "") -> None:
        self.held = set(held)
        self.fails = fails
        self.output = output
        self.host = FakeHost(
            files={
                recipe.KEYRING: b"keys",
                "/etc/os-release": b"ID=debian\n",
                "/etc/apt/sources.list": b"deb http://mirror.example/debian bookworm main\n",
                "/usr/local/share/ca-certificates/company.crt": b"-----BEGIN CERTIFICATE-----\n",
                "/usr/local/share/ca-certificates/notes.txt": b"not one",
            }
        )
        self.host.answer(lambda _: True, does=self._answer)

    def _answer(self, command: Command) -> Completed:
        if self.fails and self.fails in command.argv:
            return Completed(command, 1, self.output, "")
        match command.argv[:3]:
            case ("docker", "image", "ls"):
                return Completed(command, 0, "".join(f"{tag} {tag}@<none>\n" for tag in sorted(self.held)), "")
            case ("docker", "import", _):
                self.held.add(command.argv[-1])
            case ("docker", "build", _):
                self.held.add(command.argv[command.argv.index("--tag") + 1])
            case _:
                pass
        return Completed(command, 0, "", "")

    def ran(self, *words: str) -> list[Command]:
        return [command for command in self.host.commands if set(words) <= set(command.argv)]


def ignore(_: str) -> None:
    """Nobody listens."""


async def test_builds_the_base_once_and_then_what_is_missing() -> None:
    engine = Engine(OTHER.tag)
    assert await build.build_missing(engine.host, [EDITION, OTHER], ignore) == [EDITION.tag]
    assert len(engine.ran("debootstrap", f"--keyring={recipe.KEYRING}", "http://mirror.example/debian")) == 1
    [wanted] = engine.ran("docker", "build")
    assert f"BASE={BASE_TAG}" in wanted.argv
    assert wanted.stdin == context_tar(EDITION)
    assert wanted.environment["DOCKER_BUILDKIT"] == "0"


async def test_what_is_there_is_not_built_again() -> None:
    engine = Engine(BASE_TAG, EDITION.tag)
    await build.build_base(engine.host, ignore)
    await build.build_edition(engine.host, EDITION, ignore)
    assert not engine.ran("debootstrap")
    assert not engine.ran("docker", "build")


async def test_base_trusts_what_the_server_trusts() -> None:
    engine = Engine()
    await build.build_base(engine.host, ignore)
    root = f"{build.BUILD_FOLDER}/root"
    written = set(engine.host.files)
    assert f"{root}/usr/local/share/ca-certificates/company.crt" in written
    assert f"{root}/usr/local/share/ca-certificates/notes.txt" not in written
    assert engine.ran("chroot", "update-ca-certificates")
    assert b"bookworm-security" in engine.host.files[f"{root}/etc/apt/sources.list"].content


@pytest.mark.parametrize("fails", ["debootstrap", "dist-upgrade", "tar", "import"])
async def test_a_failed_base_leaves_no_folder(fails: str) -> None:
    engine = Engine(fails=fails, output="E: something\n")
    if fails == "debootstrap":
        engine.host.answer(("debootstrap", "--version"), stdout="debootstrap 1.0")
    with pytest.raises(CommandError, match="Debian base"):
        await build.build_base(engine.host, ignore)
    assert engine.host.commands[-1].argv == ("rm", "-rf", "--one-file-system", build.BUILD_FOLDER)
    assert BASE_TAG not in engine.held


async def test_a_failed_base_is_explained_by_debootstraps_own_log() -> None:
    engine = Engine(fails="debootstrap", output="E: Couldn't download packages: libc6\n")
    engine.host.answer(("debootstrap", "--version"), stdout="debootstrap 1.0")
    await engine.host.write(
        f"{build.BUILD_FOLDER}/root/debootstrap/debootstrap.log", b"x: Cannot write (No space left on device)\n"
    )
    with pytest.raises(CommandError) as caught:
        await build.build_base(engine.host, ignore)
    assert caught.value.cause == "the disk is full"


async def test_a_failed_build_names_step_and_cause_and_tidies_up() -> None:
    output = (OUTPUTS / "build-package-not-found-apt.txt").read_text()
    engine = Engine(BASE_TAG, fails=EDITION.tag, output=output)
    with pytest.raises(CommandError) as caught:
        await build.build_edition(engine.host, EDITION, ignore)
    assert caught.value.evidence.splitlines() == [
        "Step 3/3 : RUN apt-get update && apt-get install -y no-such-package-here",
        "E: Unable to locate package no-such-package-here",
    ]
    assert caught.value.cause
    assert caught.value.fix
    assert engine.host.commands[-1].argv[:3] == ("docker", "image", "prune")
    assert f"label={recipe.BASE_LABEL}" in engine.host.commands[-1].argv


async def test_without_debootstrap_nothing_is_touched() -> None:
    engine = Engine()
    engine.host.answer(("debootstrap", "--version"), status=127, stderr="debootstrap: command not found")
    with pytest.raises(PrerequisiteError) as caught:
        await build.build_base(engine.host, ignore)
    assert "debian-archive-keyring" in caught.value.fix
    assert not engine.ran("rm")


async def test_one_build_at_a_time() -> None:
    engine = Engine()
    async with engine.host.lock(build.BUILD_LOCK, "another"):
        with pytest.raises(LockedError):
            await build.build_edition(engine.host, EDITION, ignore)


async def test_present_knows_every_way_to_write_a_reference() -> None:
    host = FakeHost()
    digest = f"sha256:{'a' * 64}"
    listing = f"traefik:v3 traefik@{digest}\nghcr.io/a/b:1 ghcr.io/a/b@<none>\n<none>:<none> c@{digest}\n"
    host.answer(lambda command: command.argv[:3] == ("docker", "image", "ls"), stdout=listing)
    there = {
        "traefik:v3",
        "docker.io/library/traefik:v3",
        "ghcr.io/a/b:1",
        f"traefik@{digest}",
        f"docker.io/library/traefik:v3@{digest}",
        f"c@{digest}",
    }
    absent = {"traefik:v2", "b:1", f"ghcr.io/a/b@{digest}"}
    assert await build.present(host, there | absent) == there


async def test_what_a_killed_engine_left_of_a_build_is_removed_and_no_other_container() -> None:
    engine = Engine(BASE_TAG)
    step, by_hand = "a" * 64, "b" * 64
    engine.host.answer(lambda one: one.argv[:2] == ("docker", "ps"), stdout=f"{step}\n{by_hand}\n")
    engine.host.answer(
        lambda one: one.argv[:2] == ("docker", "inspect"),
        stdout=f"{step} sha256:{'c' * 64}\n{by_hand} ez-homelab/app:1-abc\n",
    )
    await build.build_edition(engine.host, EDITION, ignore)
    [removed] = engine.ran("docker", "rm")
    assert removed.argv[-1] == step
    assert by_hand not in removed.argv
