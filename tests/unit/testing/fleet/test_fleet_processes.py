from __future__ import annotations

import os
import subprocess
import sys

from ez_homelab.testing.fleet.processes import ProcessRecord, joined, record, start_time, wait_until


def test_a_record_names_one_process_and_not_a_later_one_of_that_number() -> None:
    own = record(os.getpid())
    assert own.alive
    assert not ProcessRecord(own.pid, own.start + 1).alive


def test_ending_a_record_spares_a_later_process_of_that_number() -> None:
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        ProcessRecord(process.pid, record(process.pid).start + 1).end()
        assert process.poll() is None
        record(process.pid).end()
        assert process.wait() == -9


def test_a_zombie_does_not_count_as_running() -> None:
    with subprocess.Popen(["true"]) as process:
        assert wait_until(lambda: start_time(process.pid) is None, 10)


def test_arguments_reach_a_joined_program_as_they_are() -> None:
    argument = "$(touch /nowhere); 'quoted' \"twice\"\n*"
    ended = subprocess.run(joined([], ["printf", "%s", argument]), capture_output=True, text=True, check=True)
    assert ended.stdout == argument
