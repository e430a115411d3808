from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ez_homelab.errors import CommandError, EzError, PrerequisiteError
from ez_homelab.hosts.local import LocalHost
from ez_homelab.hosts.memory import MemoryFile
from ez_homelab.hosts.protocol import Command, Completed, command
from ez_homelab.testing.fake_host import FakeHost, Killed
from ez_homelab.tls.authority import Authority, create_authority
from ez_homelab.tls.trust import (
    SYSTEM_BUNDLE,
    SYSTEM_FOLDER,
    browser_homes,
    trust_in_chromium,
    trust_in_system,
    trust_print,
    trusted_in_system,
    untrust,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

DOMAIN = "lab.localhost"
UPDATE = "/usr/sbin/update-ca-certificates"
STRANGER = f"{SYSTEM_FOLDER}/company.crt"
needs_certutil = pytest.mark.skipif(
    shutil.which("certutil") is None, reason="certutil (libnss3-tools) is not installed"
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another user")


@pytest.fixture
def fake(now: datetime) -> FakeHost:
    """A fake server whose update-ca-certificates makes the bundle from the folder, as the true one does."""
    stranger = create_authority("company.example", now).certificate_pem
    host = FakeHost(files={STRANGER: stranger, SYSTEM_BUNDLE: stranger})

    def update(asked: Command) -> Completed:
        listed = sorted(path for path in host.files if path.startswith(SYSTEM_FOLDER) and path.endswith(".crt"))
        bundle = b"\n".join(host.files[path].content for path in listed)
        host.files[SYSTEM_BUNDLE] = MemoryFile(bundle)
        return Completed(asked, 0, "done.", "")

    host.answer(lambda asked: asked.argv[0] == UPDATE, does=update)
    return host


def path_of(authority: Authority) -> str:
    return f"{SYSTEM_FOLDER}/ez-homelab-{authority.facts.short_id}.crt"


def test_trust_print_gives_the_certificate_and_never_the_key(authority: Authority) -> None:
    both = authority.key_pem.reveal() + authority.certificate_pem + authority.key_pem.reveal()
    assert trust_print(both) == authority.certificate_pem.decode()


async def test_trust_in_system_on_a_fake_host(fake: FakeHost, authority: Authority) -> None:
    pem = authority.certificate_pem
    assert not await trusted_in_system(fake, pem)
    change = await trust_in_system(fake, pem, DOMAIN)
    assert change.added == (f"ez-homelab-{authority.facts.short_id}.crt",)
    assert fake.files[path_of(authority)].mode == 0o644
    assert await trusted_in_system(fake, pem)

    fake.commands.clear()
    again = await trust_in_system(fake, pem, DOMAIN)
    assert not again.changed
    assert str(again) == f"system ({SYSTEM_FOLDER}): already so"
    assert not [asked for asked in fake.commands if asked.changes]


async def test_earlier_authorities_of_the_lab_go_and_others_stay_on_a_fake_host(fake: FakeHost, now: datetime) -> None:
    earlier, other_lab, current = (create_authority(name, now) for name in (DOMAIN, "other.localhost", DOMAIN))
    for each in (earlier, other_lab):
        await trust_in_system(fake, each.certificate_pem, each.facts.domain)
    damaged = f"{SYSTEM_FOLDER}/ez-homelab-damaged.crt"
    await fake.write(damaged, b"not a certificate")
    change = await trust_in_system(fake, current.certificate_pem, DOMAIN)
    assert change.removed == (f"ez-homelab-{earlier.facts.short_id}.crt",)
    assert not await trusted_in_system(fake, earlier.certificate_pem)
    assert await trusted_in_system(fake, other_lab.certificate_pem)
    assert {STRANGER, damaged, path_of(current)} <= set(fake.files)


async def test_a_changed_file_is_mended_on_a_fake_host(fake: FakeHost, authority: Authority) -> None:
    await trust_in_system(fake, authority.certificate_pem, DOMAIN)
    await fake.write(path_of(authority), b"")
    assert (await trust_in_system(fake, authority.certificate_pem, DOMAIN)).changed
    assert fake.files[path_of(authority)].content == authority.certificate_pem


async def test_untrust_on_a_fake_host(fake: FakeHost, authority: Authority) -> None:
    await trust_in_system(fake, authority.certificate_pem, DOMAIN)
    (change,) = await untrust(fake, DOMAIN)
    assert change.removed == (f"ez-homelab-{authority.facts.short_id}.crt",)
    assert not await trusted_in_system(fake, authority.certificate_pem)
    assert STRANGER in fake.files
    (again,) = await untrust(fake, DOMAIN)
    assert not again.changed


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("moment", range(1, 7))
async def test_killed_at_any_moment_a_second_run_ends_it_on_a_fake_host(
    fake: FakeHost, now: datetime, moment: int, after: bool
) -> None:
    earlier, current = create_authority(DOMAIN, now), create_authority(DOMAIN, now)
    await trust_in_system(fake, earlier.certificate_pem, DOMAIN)
    start = len(fake.operations)
    fake.fail_at(start + moment, Killed(), after=after)
    with pytest.raises(Killed):
        await trust_in_system(fake, current.certificate_pem, DOMAIN)
    fake.revive()
    await trust_in_system(fake, current.certificate_pem, DOMAIN)
    assert await trusted_in_system(fake, current.certificate_pem)
    assert not await trusted_in_system(fake, earlier.certificate_pem)


@pytest.mark.parametrize("moment", range(1, 6))
async def test_untrust_killed_at_any_moment_is_ended_by_a_second_run_on_a_fake_host(
    fake: FakeHost, authority: Authority, moment: int
) -> None:
    await trust_in_system(fake, authority.certificate_pem, DOMAIN)
    fake.fail_at(len(fake.operations) + moment, Killed())
    with pytest.raises(Killed):
        await untrust(fake, DOMAIN)
    fake.revive()
    await untrust(fake, DOMAIN)
    assert not await trusted_in_system(fake, authority.certificate_pem)


async def test_untrust_tells_of_a_copy_under_another_name_on_a_fake_host(fake: FakeHost, authority: Authority) -> None:
    await fake.write(f"{SYSTEM_FOLDER}/copy.crt", authority.certificate_pem)
    await trust_in_system(fake, authority.certificate_pem, DOMAIN)
    with pytest.raises(CommandError, match="still trust") as caught:
        await untrust(fake, DOMAIN)
    assert "another name" in caught.value.cause


async def test_a_store_that_does_not_take_it_is_an_error_on_a_fake_host(authority: Authority) -> None:
    host = FakeHost()
    host.answer((UPDATE,), stdout="0 added, 0 removed; done.")
    with pytest.raises(CommandError, match="did not take") as caught:
        await trust_in_system(host, authority.certificate_pem, DOMAIN)
    assert caught.value.evidence == "0 added, 0 removed; done."


async def test_missing_and_failing_programs_on_a_fake_host(authority: Authority) -> None:
    host = FakeHost()
    with pytest.raises(PrerequisiteError) as missing:
        await trust_in_system(host, authority.certificate_pem, DOMAIN)
    assert missing.value.fix == "apt-get install ca-certificates"
    host.answer((UPDATE,), status=1, stderr="rehash: disk full")
    with pytest.raises(CommandError, match="ended with status 1") as failing:
        await trust_in_system(host, authority.certificate_pem, DOMAIN)
    assert failing.value.evidence == "rehash: disk full"
    with pytest.raises(PrerequisiteError) as caught:
        await trust_in_chromium(host, authority.certificate_pem, DOMAIN, "/root")
    assert caught.value.fix == "apt-get install libnss3-tools"


async def test_missing_certutil_stops_untrust_before_anything_changed_on_a_fake_host(
    fake: FakeHost, authority: Authority
) -> None:
    fake.answer(("stat", "--format=%u:%g", "--", "/root"), stdout="0:0\n")
    fake.answer(("id", "-u"), stdout="0\n")
    await fake.write("/root/.pki/nssdb/cert9.db", b"")
    await trust_in_system(fake, authority.certificate_pem, DOMAIN)
    with pytest.raises(PrerequisiteError, match="certutil"):
        await untrust(fake, DOMAIN, ["/root"])
    assert await trusted_in_system(fake, authority.certificate_pem)


@pytest.mark.parametrize("store", ["system", "chromium"])
async def test_only_the_named_labs_authority_is_let_in(fake: FakeHost, now: datetime, store: str) -> None:
    other = create_authority("other.localhost", now).certificate_pem
    fake.operations.clear()
    for pem, match in ((other, "is not the one of"), (b"", "damaged")):
        with pytest.raises(PrerequisiteError, match=match):
            await (
                trust_in_system(fake, pem, DOMAIN)
                if store == "system"
                else trust_in_chromium(fake, pem, DOMAIN, "/root")
            )
    assert fake.operations == []


@pytest.mark.parametrize(
    ("environment", "homes"),
    [
        ({}, ("/root",)),
        ({"HOME": "/home/ann/"}, ("/home/ann",)),
        ({"HOME": "/root", "SUDO_USER": "root"}, ("/root",)),
        ({"HOME": "/root", "SUDO_USER": "bob"}, ("/srv/bob", "/srv/bob/snap/chromium/current")),
    ],
)
async def test_whose_browser_it_is(environment: dict[str, str], homes: tuple[str, ...]) -> None:
    host = FakeHost()
    host.answer(("getent", "passwd", "--", "bob"), stdout="bob:x:1000:1000:Bob,,,:/srv/bob:/bin/bash\n")
    host.answer(("test", "-d", "/srv/bob/snap/chromium/current"))
    assert await browser_homes(host, environment) == homes


async def test_an_unknown_person_is_told() -> None:
    host = FakeHost()
    host.answer(("getent", "passwd", "--", "eve"), status=2)
    with pytest.raises(CommandError, match="home folder of eve"):
        await browser_homes(host, {"SUDO_USER": "eve"})


async def certutil(home: Path, *arguments: str) -> str:
    asked = command("certutil", "-d", f"sql:{home}/.pki/nssdb", *arguments, changes=False)
    return (await LocalHost().run(asked)).stdout


@needs_certutil
async def test_trust_in_chromium_with_certutil(tmp_path: Path, authority: Authority, now: datetime) -> None:
    host, pem = LocalHost(), authority.certificate_pem
    entry = f"EZ-Homelab {DOMAIN} {authority.facts.short_id}"
    change = await trust_in_chromium(host, pem, DOMAIN, str(tmp_path))
    assert (change.store, change.place, change.added) == ("chromium", f"{tmp_path}/.pki/nssdb", (entry,))
    assert (await certutil(tmp_path, "-L", "-a", "-n", entry)).split() == pem.decode().split()
    assert (tmp_path / ".pki").stat().st_mode & 0o777 == 0o700
    assert not (await trust_in_chromium(host, pem, DOMAIN, str(tmp_path))).changed

    await certutil(tmp_path, "-M", "-n", entry, "-t", ",,")
    assert (await trust_in_chromium(host, pem, DOMAIN, str(tmp_path))).added == (entry,)
    assert "C,," in await certutil(tmp_path, "-L")

    other = create_authority("other.localhost", now)
    await trust_in_chromium(host, other.certificate_pem, "other.localhost", str(tmp_path))
    newer = create_authority(DOMAIN, now)
    assert (await trust_in_chromium(host, newer.certificate_pem, DOMAIN, str(tmp_path))).removed == (entry,)
    listing = await certutil(tmp_path, "-L")
    assert entry not in listing
    assert other.facts.short_id in listing
    assert newer.facts.short_id in listing


@needs_certutil
async def test_untrust_with_certutil(tmp_path: Path, fake: FakeHost, authority: Authority) -> None:
    class HalfFake(LocalHost):
        """Chromium's store is true, the system's is the fake one."""

        async def run(self, command: Command, *, on_line: Callable[[str], None] | None = None) -> Completed:
            run = fake.run if command.argv[0] == UPDATE else super().run
            return await run(command, on_line=on_line)

        async def read(self, path: str) -> bytes | None:
            return await fake.read(path)

        async def list_files(self, folder: str) -> list[str] | None:
            return await (fake.list_files(folder) if folder == SYSTEM_FOLDER else super().list_files(folder))

    host, empty = HalfFake(), tmp_path / "empty"
    empty.mkdir()
    await trust_in_chromium(host, authority.certificate_pem, DOMAIN, str(tmp_path))
    homes = [str(tmp_path), str(empty)]
    system, chromium = await untrust(host, DOMAIN, homes)
    assert not system.changed
    assert chromium.removed == (f"EZ-Homelab {DOMAIN} {authority.facts.short_id}",)
    assert authority.facts.short_id not in await certutil(tmp_path, "-L")
    assert not any(change.changed for change in await untrust(host, DOMAIN, homes))
    assert list(empty.iterdir()) == []


@needs_certutil
async def test_the_newer_place_of_chromiums_database_is_kept(tmp_path: Path, authority: Authority) -> None:
    newer = tmp_path / ".local/share/pki/nssdb"
    newer.mkdir(parents=True)
    change = await trust_in_chromium(LocalHost(), authority.certificate_pem, DOMAIN, str(tmp_path))
    assert change.place == str(newer)
    assert (newer / "cert9.db").exists()
    assert not (tmp_path / ".pki").exists()


@pytest.fixture
def home_of_another() -> Iterator[Path]:
    # Not tmp_path: pytest lets only the owner of its folders in.
    home = Path(tempfile.mkdtemp(prefix="home-"))
    os.chown(home, 12345, 12346)
    yield home
    shutil.rmtree(home)


@needs_root
@needs_certutil
async def test_root_makes_a_database_that_belongs_to_its_person(home_of_another: Path, authority: Authority) -> None:
    await trust_in_chromium(LocalHost(), authority.certificate_pem, DOMAIN, str(home_of_another))
    made = [path.stat() for path in home_of_another.rglob("*")]
    assert len(made) >= 5
    assert {(state.st_uid, state.st_gid) for state in made} == {(12345, 12346)}


@needs_root
@needs_certutil
async def test_root_is_not_led_astray_by_a_link(home_of_another: Path, tmp_path: Path, authority: Authority) -> None:
    (home_of_another / ".pki").symlink_to(tmp_path)
    with pytest.raises(EzError):
        await trust_in_chromium(LocalHost(), authority.certificate_pem, DOMAIN, str(home_of_another))
    assert list(tmp_path.iterdir()) == []
