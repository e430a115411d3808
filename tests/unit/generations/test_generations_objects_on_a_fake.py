"""Contents on a server under the hash of what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kept_lab import OwnLocalHost, fake_server

from ez_homelab.errors import CommandError
from ez_homelab.generations.document import name_of
from ez_homelab.generations.errors import GenerationError
from ez_homelab.generations.objects import Objects

if TYPE_CHECKING:
    from pathlib import Path

CONTENTS = {name_of(content): content for content in (b"", b"a", b"\0\xff" * 1000, "é".encode())}
ONE = name_of(b"a")


async def test_what_was_put_is_had_again() -> None:
    objects = Objects(fake_server())
    assert await objects.put(CONTENTS) == len(CONTENTS)
    assert await objects.get(CONTENTS) == CONTENTS
    assert await objects.list() == CONTENTS.keys()
    assert await objects.faults(CONTENTS) == {}


async def test_what_is_there_is_not_written_again_and_one_look_tells() -> None:
    host = fake_server()
    await Objects(host).put(CONTENTS)
    host.operations.clear()
    assert await Objects(host).put(CONTENTS) == 0
    assert host.operations == [f"states of {len(CONTENTS)} paths"]


async def test_folders_are_closed_before_the_first_file_is_written() -> None:
    host = fake_server()
    await Objects(host).put(CONTENTS)
    (made,) = [number for number, line in enumerate(host.operations) if line.startswith("run install")]
    assert made < min(number for number, line in enumerate(host.operations) if line.startswith("write"))


async def test_nobody_else_can_read_them_on_a_real_disk(tmp_path: Path) -> None:
    folder = tmp_path / "objects"
    objects = Objects(OwnLocalHost(), str(folder))
    await objects.put(CONTENTS)
    found = [folder, *folder.rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in found if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in found if path.is_file()} == {0o600}
    assert await objects.get(CONTENTS) == CONTENTS
    await objects.remove(CONTENTS)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "mode", "fault"),
    [(b"b", 0o600, "damaged"), (b"", 0o600, "damaged"), (b"a", 0o644, "open to others"), (None, 0, "missing")],
)
async def test_a_fault_is_found_and_put_mends_it(content: bytes | None, mode: int, fault: str) -> None:
    host = fake_server()
    objects = Objects(host)
    await objects.put(CONTENTS)
    if content is None:
        await host.remove(objects.path(ONE))
    else:
        await host.write(objects.path(ONE), content, mode=mode)
    assert await objects.faults(CONTENTS) == {ONE: fault}
    assert await objects.put(CONTENTS) == 1
    assert await objects.faults(CONTENTS) == {}


@pytest.mark.parametrize(("content", "fault"), [(b"b", "damaged"), (None, "missing")])
async def test_a_damaged_or_missing_one_is_an_error_that_says_so(content: bytes | None, fault: str) -> None:
    host = fake_server()
    objects = Objects(host)
    await objects.put(CONTENTS)
    if content is None:
        await host.remove(objects.path(ONE))
    else:
        await host.write(objects.path(ONE), content)
    with pytest.raises(GenerationError, match=f"an object of a generation is {fault} on core") as raised:
        await objects.get(CONTENTS)
    assert objects.path(ONE) in raised.value.evidence


async def test_files_that_are_no_objects_are_left_alone() -> None:
    host = fake_server()
    objects = Objects(host)
    await objects.put({ONE: b"a"})
    strange = [f"{objects.folder}/README", f"{objects.folder}/ab/notes", f"{objects.folder}/{ONE}"]
    for path in strange:
        await host.write(path, b"x")
    assert await objects.list() == {ONE}
    await objects.remove(await objects.list())
    assert await host.list_files(objects.folder) == sorted(strange)


async def test_a_full_disk_is_the_plain_error_of_the_server() -> None:
    host = fake_server()
    host.fail_at(3, CommandError("no space"))
    with pytest.raises(CommandError, match="no space"):
        await Objects(host).put(CONTENTS)


@pytest.mark.parametrize("name", ["", "ab", "../../etc/passwd", "A" * 64, "g" * 64, ONE + "\n"])
async def test_only_a_hash_is_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of an object"):
        await Objects(fake_server()).get([name])
