from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ez_homelab.errors import UsageError
from ez_homelab.testing.fleet.processes import ProcessRecord
from ez_homelab.testing.fleet.state import FleetState, ServerState

if TYPE_CHECKING:
    from pathlib import Path


def test_a_fleet_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    off = ServerState("spare", 2, "10.111.0.12", "trixie", "/cache/trixie")
    core = ServerState(
        "core",
        1,
        "10.111.0.11",
        "bookworm",
        "/cache/bookworm",
        online=False,
        init=ProcessRecord(41, 4100),
        ports={8443: 443},
        forwarders={8443: ProcessRecord(42, 4200)},
    )
    written = FleetState(
        "lab",
        "10.111.0.0/24",
        "bookworm",
        ProcessRecord(40, 4000),
        helpers={"router": ProcessRecord(43, 4300)},
        servers={"core": core, "spare": off},
    )
    written.save(tmp_path)
    assert FleetState.load(tmp_path) == written
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_folder_without_a_fleet_is_a_wrong_call(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no test fleet"):
        FleetState.load(tmp_path)


def test_what_another_version_wrote_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"name": "lab"}', encoding="utf-8")
    with pytest.raises(UsageError, match="another version"):
        FleetState.load(tmp_path)
