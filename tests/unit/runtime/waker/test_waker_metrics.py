"""What the waker tells Prometheus, in a file that is whole, and gone when it does not count any more."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from ez_homelab.runtime.waker.__main__ import run
from ez_homelab.runtime.waker.apps import Apps
from ez_homelab.runtime.waker.metrics import FILE, MetricsFile, text
from ez_homelab.runtime.waker.options import Options
from ez_homelab.runtime.waker.settings import SettingsError
from ez_homelab.runtime.waker.states import State
from ez_homelab.runtime.waker.statistics import Statistics

if TYPE_CHECKING:
    from pathlib import Path


class Keeper:
    """As much of a keeper as is told."""

    class app:  # noqa: N801
        memory = 64

    class life:  # noqa: N801
        state = State.ASLEEP
        failures = 2

    trouble = "Traefik does not confirm the route"


class Kept(Apps):
    def __init__(self) -> None:
        self.keepers = {"wiki": Keeper(), "books": Keeper()}  # type: ignore[dict-item]


def told(folder: Path) -> str:
    figures = Statistics(folder / "statistics.json")
    for seconds in (1.0, 2.0, 4.0):
        figures.add("wiki", seconds)
    return text(Kept(), figures, 128)


def test_what_is_told_of_each_group(tmp_path: Path) -> None:
    lines = told(tmp_path).splitlines()
    for line in (
        'ez_homelab_group_state{group="wiki",state="asleep"} 1',
        'ez_homelab_group_state{group="wiki",state="awake"} 0',
        'ez_homelab_group_wakes_total{group="wiki"} 3',
        'ez_homelab_group_wakes_total{group="books"} 0',
        'ez_homelab_group_wake_seconds{group="wiki",quantile="0.5"} 2.0',
        'ez_homelab_group_wake_seconds{group="wiki",quantile="0.95"} 4.0',
        'ez_homelab_group_failed_starts{group="books"} 2',
        'ez_homelab_group_trouble{group="books"} 1',
        'ez_homelab_group_memory_bytes{group="books"} 64',
        "ez_homelab_memory_saved_bytes 128",
    ):
        assert line in lines
    assert not [line for line in lines if "wake_seconds{group=" in line and "books" in line]


def test_each_figure_has_its_type_before_it_and_all_of_one_stand_together(tmp_path: Path) -> None:
    order: list[str] = []
    for line in told(tmp_path).splitlines():
        comment = re.fullmatch(r"# (HELP|TYPE) (ez_homelab_[a-z_]+) .+", line)
        sample = re.fullmatch(r'(ez_homelab_[a-z_]+)(\{([a-z]+="[a-z0-9_.]+",?)+\})? [0-9.]+', line)
        assert comment or sample, line
        order.append(f"{comment[1]} {comment[2]}" if comment else sample[1] if sample else "")
    blocks = [name for at, name in enumerate(order) if at == 0 or order[at - 1] != name]
    assert len(blocks) == len({*blocks})
    assert [name.partition(" ")[0] for name in blocks[::3]] == ["HELP"] * (len(blocks) // 3)
    assert all(block == f"TYPE {name}" for block, name in zip(blocks[1::3], blocks[2::3], strict=True))


def test_there_is_never_half_a_file_and_none_after_the_end(tmp_path: Path) -> None:
    told_last: list[set[str]] = []
    often = asyncio.Event()

    def tell() -> str:
        told_last.append({path.name for path in tmp_path.iterdir()})
        if len(told_last) == 3:
            often.set()
        return f"{len(told_last)}\n"

    async def keep() -> None:
        keeping = asyncio.create_task(MetricsFile(tmp_path).keep(tell, 0.0))
        await often.wait()
        assert (tmp_path / FILE).read_text() == f"{len(told_last)}\n"
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    asyncio.run(keep())
    assert told_last[1] == {FILE}
    assert [*tmp_path.iterdir()] == []


def test_what_cannot_be_written_is_told_once_and_what_was_there_does_not_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = MetricsFile(tmp_path)
    file.write("old\n")
    (tmp_path / "waker.new").mkdir()
    file.write("new\n")
    file.write("new\n")
    assert not (tmp_path / FILE).exists()
    assert len(caplog.messages) == 1
    (tmp_path / "waker.new").rmdir()
    file.write("new\n")
    assert (tmp_path / FILE).read_text() == "new\n"


def test_none_is_written_where_nobody_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = MetricsFile(None)
    file.write("new\n")
    file.remove()
    assert [*tmp_path.iterdir()] == []


def test_a_waker_that_cannot_start_leaves_nothing_of_the_one_before(tmp_path: Path) -> None:
    MetricsFile(tmp_path).write("of one that was killed\n")
    with pytest.raises(SettingsError):
        asyncio.run(run(Options(config=tmp_path, metrics=tmp_path)))
    assert not (tmp_path / FILE).exists()
