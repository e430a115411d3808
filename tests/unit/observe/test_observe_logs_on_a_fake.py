from __future__ import annotations

import pytest

from ez_homelab.errors import CommandError
from ez_homelab.observe.logs import read_logs
from ez_homelab.testing.fake_host import FakeHost


async def test_lines_of_several_containers_say_whose_they_are() -> None:
    host, lines = FakeHost("core"), list[str]()
    host.answer(("docker", "logs", "--tail", "5", "blog"), stdout="one\ntwo\n")
    host.answer(("docker", "logs", "--tail", "5", "blog-store"), stderr="three\n")
    await read_logs(host, ["blog", "blog-store"], lines.append, tail=5, follow=False)
    assert sorted(lines) == ["blog-store: three", "blog: one", "blog: two"]


async def test_lines_of_one_container_stand_as_they_are_and_follow() -> None:
    host, lines = FakeHost("core"), list[str]()
    host.answer(("docker", "logs", "--tail", "0", "--follow", "blog"), stdout="one\n")
    await read_logs(host, ["blog"], lines.append, tail=0, follow=True)
    assert lines == ["one"]


async def test_no_container_no_log() -> None:
    host = FakeHost("core")
    host.answer(("docker", "logs", "--tail", "5", "blog"), status=1, stderr="Error: No such container: blog\n")
    with pytest.raises(CommandError) as error:
        await read_logs(host, ["blog"], print, tail=5, follow=False)
    assert (error.value.evidence, error.value.fix) == ("Error: No such container: blog", "ez-homelab status")
