"""apt-get as a person meets it: another one at work, no network, an interrupted run."""

from __future__ import annotations

import pytest

from ez_homelab.errors import PrerequisiteError
from ez_homelab.hosts.protocol import Command, Completed
from ez_homelab.prerequisites import apt
from ez_homelab.testing.fake_host import FakeHost

BUSY = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 812 (apt-get)\n"
WAITING = (
    "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 3785 (apt-get)..."
)
NO_NETWORK = """E: Failed to fetch http://deb.debian.org/debian/pool/main/c/curl/curl_7.88.1-10+deb12u15_amd64.deb
E: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?
"""


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt, "PAUSE", 0)


def verb(command: Command) -> str:
    """`update`, `install`, or another program's name."""
    return next((word for word in command.argv if word in {"update", "install"}), command.argv[0])


async def test_mends_updates_and_installs_in_that_order_and_asks_nothing() -> None:
    host = FakeHost()
    host.answer(lambda command: command.argv[0] in {"apt-get", "dpkg"})
    await apt.install_packages(host, ("curl", "iptables"), print)
    assert [verb(command) for command in host.commands] == ["dpkg", "update", "install"]
    installing = host.commands[-1]
    assert installing.argv[-2:] == ("curl", "iptables")
    assert "--yes" in installing.argv
    assert installing.environment["DEBIAN_FRONTEND"] == "noninteractive"


async def test_waits_for_another_apt_get() -> None:
    host, said, tries = FakeHost(), list[str](), list[str]()

    def busy_twice(command: Command) -> Completed:
        tries.append(verb(command))
        busy = tries.count("update") <= 2
        return Completed(command, 100 if busy else 0, "", BUSY if busy else "")

    host.answer(lambda command: command.argv[0] == "apt-get", does=busy_twice)
    await apt.install_packages(host, ("curl",), said.append)
    assert tries == ["update", "update", "update", "install"]
    assert said == [apt.ANOTHER]


async def test_gives_up_waiting_in_the_end() -> None:
    host = FakeHost()
    host.answer(lambda command: command.argv[0] == "apt-get", status=100, stderr=BUSY)
    with pytest.raises(PrerequisiteError) as raised:
        await apt.install_packages(host, ("curl",), list[str]().append)
    assert raised.value.cause == "another apt-get has been at work for ten minutes"
    assert raised.value.evidence == BUSY.strip()


async def test_no_network_is_named_as_the_cause() -> None:
    host = FakeHost()
    host.answer(lambda command: verb(command) == "install", status=100, stderr=NO_NETWORK)
    with pytest.raises(PrerequisiteError) as raised:
        await apt.install_packages(host, ("curl",), print)
    assert raised.value.what == "curl could not be installed on fake"
    assert raised.value.cause == "fake does not reach the package archive"
    assert raised.value.evidence.splitlines() == NO_NETWORK.splitlines()


async def test_old_lists_do_where_the_archive_cannot_be_asked() -> None:
    host = FakeHost()
    host.answer(lambda command: verb(command) == "update", status=100, stderr="E: Failed to fetch http://x/InRelease\n")
    host.answer(lambda command: verb(command) == "install")
    await apt.install_packages(host, ("curl",), print)


def test_of_many_lines_only_progress_is_said_and_once() -> None:
    said: list[str] = []
    hear = apt._progress(("docker.io",), said.append)
    for line in (
        "Reading package lists...",
        "Need to get 66.0 MB of archives.",
        WAITING,
        WAITING,
        "Setting up libip4tc2:amd64 (1.8.9-2) ...",
        "Setting up docker.io (20.10.24+dfsg1-1+deb12u1+b6) ...",
    ):
        hear(line)
    assert said == [
        "need to get 66.0 MB of archives.",
        apt.ANOTHER,
        "setting up docker.io (20.10.24+dfsg1-1+deb12u1+b6)",
    ]
