from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest
from conformance import PROBE, Conformance, Server

from ez_homelab.hosts import Command, Completed
from ez_homelab.hosts.dry_run import DryRunHost
from ez_homelab.hosts.local import LocalHost
from ez_homelab.testing.fake_host import FakeHost

if TYPE_CHECKING:
    from pathlib import Path


class TestLocalHost(Conformance):
    @pytest.fixture
    def server(self, tmp_path: Path) -> Server:
        return Server(LocalHost(), str(tmp_path))


class TestDryRunHost(Conformance):
    writes_to_disk = False
    foresees_refusals = False

    @pytest.fixture
    def server(self, tmp_path: Path) -> Server:
        return Server(DryRunHost(LocalHost()), str(tmp_path))


class TestFakeHost(Conformance):
    runs_programs = False
    writes_to_disk = False

    @pytest.fixture
    def server(self) -> Server:
        fake = FakeHost()
        fake.folders |= {"/srv", "/srv/empty"}
        fake.answer(lambda command: command.argv[:3] == (sys.executable, "-c", PROBE), does=imitated_probe)
        counted = "".join(f"{number}\n" for number in range(1, 501)) + "no end"
        fake.answer(lambda command: command.argv[0] == "sh", stdout=counted)
        return Server(fake, "/srv/empty")


def imitated_probe(command: Command) -> Completed:
    seen = {
        "arguments": command.argv[3:],
        "directory": command.directory,
        "stdin": command.stdin.hex(),
        "environment": {**os.environ, **command.environment},
    }
    return Completed(command, int(command.environment.get("PROBE_STATUS", "0")), json.dumps(seen), "")
