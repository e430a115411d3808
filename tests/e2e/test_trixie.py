"""The same one command on Debian 13, whose own Docker is a newer one. Minutes: only where EZ_TEST_TRIXIE=1 is set."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from real_lab import DOMAIN, RealLab, listening, up_from_nothing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import NewServer

pytestmark = pytest.mark.skipif(
    os.environ.get("EZ_TEST_TRIXIE") != "1", reason="minutes long; EZ_TEST_TRIXIE=1 runs it"
)


@pytest.fixture(scope="module")
def trixie(new_server: NewServer) -> Iterator[RealLab]:
    """A lab on a bare Debian 13, from nothing."""
    server = new_server("trixie", suite="trixie")
    yield up_from_nothing(server)
    server.remove()


def test_up_from_nothing_on_debian_13_with_ez_test_trixie(trixie: RealLab) -> None:
    assert trixie.server.read("/etc/debian_version").startswith(b"13")
    engine = trixie.server.docker(["version", "--format", "{{.Server.Version}}"]).stdout
    assert int(engine.partition(".")[0]) >= 26
    assert listening(trixie.server) - trixie.listened_before == {"127.0.0.1:80", "127.0.0.1:443", "127.0.0.1:20444"}
    assert trixie.document("verify")["holds"]
    assert {app["state"] for app in trixie.document("status")["apps"]} <= {"running", "asleep"}
    for name in ("dokuwiki", "prometheus", "glances"):
        trixie.curl(f"https://{name}.{DOMAIN}/", "--fail", "-L")
    print(f"up from nothing on Debian 13: {trixie.seconds:.0f} s")  # noqa: T201 - a figure for the log, with pytest -rP


def test_a_second_up_finds_nothing_to_do_with_ez_test_trixie(trixie: RealLab) -> None:
    before = trixie.everything()
    assert "Nothing to do" in trixie.ez("up", "--yes").stdout
    assert trixie.everything() == before
