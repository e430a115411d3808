"""Running the checks: order, one question each, and what happens where a probe gives no answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ez_homelab.doctor import CHECKS, Check, Subject, examine
from ez_homelab.errors import CommandError, UnreachableError
from ez_homelab.hosts.local import LocalHost
from ez_homelab.testing.fake_host import FakeHost

if TYPE_CHECKING:
    from ez_homelab.hosts.protocol import Command, Completed


def quiet_server() -> FakeHost:
    """A server on which only `id`, `uname` and `cat` answer, and the user is not root."""
    host = FakeHost()
    host.answer(("id", "-u"), stdout="1000\n")
    host.answer(("uname", "-m"), stdout="x86_64\n")
    return host


async def test_worst_first_and_what_could_not_be_looked_at_is_said() -> None:
    found = await examine(quiet_server(), Subject())
    codes = [finding.code for finding in found]
    ranks = [("error", "warning", "note").index(finding.severity) for finding in found]
    assert ranks == sorted(ranks)
    assert {"not-root", "docker-missing"} <= set(codes)
    assert {"ports-unknown", "disk-unknown", "memory-unknown", "memory-cgroup-unknown"} <= set(codes)


async def test_a_server_that_answers_nothing_is_never_fine() -> None:
    subject = Subject(
        domain="lab.home.arpa", data_paths=("/mnt/media",), admins=("anna",), certificate="/c.yaml",
        lan_routes=("prometheus",), lan=("127.0.0.0/8",),
    )  # fmt: skip
    found = await examine(FakeHost(), subject)
    mentioned = {finding.code.removesuffix("-unknown") for finding in found}
    silent = {check.name for check in CHECKS} - mentioned
    asks_nothing = {"cookie-domain", "on-demand", "open-routes", "registration"}
    by_docker = {"docker", "compose", "sign-on", "second-factor", "lan"}
    assert silent == {*by_docker, "clock"} | asks_nothing, "docker-missing speaks for whatever Docker is asked"
    assert {"docker-missing", "clock-unwatched"} <= mentioned


async def test_a_probe_that_hangs_is_a_finding_for_its_check_alone() -> None:
    host = quiet_server()

    def hang(command: Command) -> Completed:
        raise CommandError("df did not end in 30 s", evidence="df -a", fix="see what hangs")

    host.answer(lambda command: command.argv[0] == "df", does=hang)
    found = {finding.code: finding for finding in await examine(host, Subject())}
    assert found["disk-unknown"].evidence == "df -a"
    assert found["disk-unknown"].fix == "see what hangs"
    assert not found["disk-unknown"].blocking
    assert "not-root" in found


async def test_an_unreachable_server_is_an_error_not_a_list_of_findings() -> None:
    host = FakeHost()
    host.unreachable = "no route to host"
    with pytest.raises(UnreachableError):
        await examine(host, Subject())


async def test_each_question_is_asked_once() -> None:
    host = quiet_server()
    await examine(host, Subject(domain="lab.home.arpa", data_paths=("/mnt/media",)))
    asked = [command.argv for command in host.commands]
    assert len(asked) == len(set(asked))


async def test_checks_can_be_chosen() -> None:
    chosen: tuple[Check, ...] = tuple(check for check in CHECKS if check.name == "root")
    found = await examine(quiet_server(), Subject(), chosen)
    assert [finding.code for finding in found] == ["not-root"]


async def test_this_machine_answers_the_questions_that_need_no_docker() -> None:
    chosen = tuple(
        check for check in CHECKS if check.name in {"root", "architecture", "memory-cgroup", "disk", "memory"}
    )
    found = await examine(LocalHost(), Subject(), chosen)
    assert not [finding for finding in found if finding.code.endswith("-unknown")]
