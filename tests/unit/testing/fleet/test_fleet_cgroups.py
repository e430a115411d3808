from __future__ import annotations

from pathlib import Path

import pytest

from ez_homelab.testing.fleet.cgroups import FleetGroups, Hierarchies, v1_mounts

MOUNTINFO = """\
31 23 0:28 / /sys/fs/cgroup ro,relatime - tmpfs tmpfs ro,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/a/b,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""


def test_v1_hierarchies_are_read_with_the_option_that_mounts_each() -> None:
    assert v1_mounts(MOUNTINFO) == (
        (Path("/sys/fs/cgroup/cpu,cpuacct"), "cpu,cpuacct"),
        (Path("/sys/fs/cgroup/memory"), "memory"),
        (Path("/sys/fs/cgroup/systemd"), "name=systemd"),
    )


@pytest.mark.parametrize(("v2", "leaf", "below"), [(False, True, "."), (True, False, "."), (True, True, "init")])
def test_only_what_joins_a_booted_server_of_v2_goes_into_its_leaf(v2: bool, leaf: bool, below: str) -> None:
    groups = FleetGroups(Hierarchies(v2=v2, mounts=((Path("/cg"), ""),)), "lab-12345678")
    expected = Path("/cg/ez-homelab-fleet/lab-12345678/core") / below / "cgroup.procs"
    assert groups.join_files("core", leaf=leaf) == [expected]


def test_a_fleet_that_never_was_has_no_processes_and_is_removed_without_complaint(tmp_path: Path) -> None:
    groups = FleetGroups(Hierarchies(v2=False, mounts=((tmp_path, "memory"),)), "lab-12345678")
    groups.kill_all()
    groups.remove()
    assert groups.pids() == set()
    assert not groups.exist()
