"""Secrets in an apply: on disk before anything knows them, told by standard input, and settled at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from engine_in_memory import EngineInMemory, LabOnFakeServer

from ez_homelab.apply.way_back import WentBackError
from ez_homelab.errors import EzError, UsageError
from ez_homelab.hosts.protocol import Completed
from ez_homelab.secrets.store import SecretStore
from ez_homelab.testing.fake_host import Killed

if TYPE_CHECKING:
    from pathlib import Path

    from ez_homelab.hosts import Command

WIKI = "version: 1\ndomain: lab.localhost\nstacks: {wiki: [mediawiki]}\n"
FLOWS = "version: 1\ndomain: lab.localhost\nstacks: {flows: [node-red]}\n"
STORE = "secrets.age"
TOLD = ("docker", "exec")


class WatchingEngine(EngineInMemory):
    """Notes at every change whether the lab's secrets were on disk by then."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self.saved: list[bool] = []

    async def run(self, command: Command, **more: Any) -> Completed:
        if command.changes:
            self.saved.append((self._folder / STORE).exists())
        return await super().run(command, **more)

    async def write(self, path: str, content: bytes, **more: Any) -> None:
        self.saved.append((self._folder / STORE).exists())
        await super().write(path, content, **more)


def store(there: LabOnFakeServer) -> SecretStore:
    return SecretStore.open(there.folder)


def value(there: LabOnFakeServer, name: str) -> str:
    found = store(there).get("mediawiki", name)
    assert found is not None
    return found.reveal()


def pending(there: LabOnFakeServer) -> set[str]:
    return {name for (_, name), entry in store(there).entries().items() if entry.pending}


async def rotate(there: LabOnFakeServer, name: str | None = None) -> None:
    lab = there.lab.rotating("mediawiki", name)
    await lab.apply(await lab.plan())


def told(there: LabOnFakeServer) -> list[Command]:
    return [command for command in there.host.commands if command.argv[:2] == TOLD]


def given(there: LabOnFakeServer, container: str, name: str) -> str:
    return there.host.files[f"/opt/stacks/wiki/secrets/{container}/{name}"].content.decode()


async def test_a_plan_writes_no_secret(there: LabOnFakeServer) -> None:
    there.write(WIKI)
    await there.lab.plan()
    assert not (there.folder / STORE).exists()


async def test_secrets_are_on_disk_before_the_first_change(there: LabOnFakeServer) -> None:
    there.write(WIKI)
    there.host = host = WatchingEngine(there.folder)
    await there.apply()
    assert len(host.saved) > 20
    assert all(host.saved)


async def test_a_run_that_is_cut_off_keeps_the_values_that_it_made(there: LabOnFakeServer) -> None:
    there.write(WIKI)
    plan = await there.lab.plan()
    there.host.fail_at(len(there.host.operations) + 30, Killed())
    with pytest.raises((Killed, BaseExceptionGroup)):
        await there.lab.apply(plan)
    before = value(there, "db_password")
    there.host.revive()
    await there.apply()
    assert given(there, "mediawiki-database", "db_password") == value(there, "db_password") == before
    assert not pending(there)


async def test_a_new_value_goes_by_standard_input_and_never_as_an_argument(there: LabOnFakeServer) -> None:
    there.write(WIKI)
    await there.apply()
    old = value(there, "db_password")
    await rotate(there, "db_password")
    new = value(there, "db_password")
    assert new != old
    (order,) = told(there)
    assert order.argv[:4] == (*TOLD, "--interactive", "mediawiki-database")
    assert order.stdin == f"{new}\n".encode()
    assert given(there, "mediawiki-database", "db_password") == new
    assert not pending(there)
    shown = "\n".join(str(command) for command in there.host.commands)
    assert not [text for text in (old, new) if text in shown]
    assert new.encode() not in there.host.files["/opt/stacks/wiki/compose.yaml"].content


async def test_the_app_is_told_before_its_containers_are_made_anew(there: LabOnFakeServer) -> None:
    there.write(WIKI)
    await there.apply()
    begin = len(there.host.operations)
    await rotate(there)
    since = there.host.operations[begin:]
    place = [number for number, line in enumerate(since) if "docker exec" in line]
    written = [number for number, line in enumerate(since) if line.startswith("write /opt/stacks/wiki/secrets/")]
    made = [number for number, line in enumerate(since) if line.startswith("run docker compose")]
    assert len(place) == 3
    assert max(place) < min(written)
    assert max(written) < min(made)


async def test_an_app_that_refuses_keeps_the_old_value_and_the_next_apply_goes_on(there: LabOnFakeServer) -> None:
    there.write(WIKI)
    await there.apply()
    old = value(there, "db_password")
    there.host.answer(
        lambda command: command.argv[:2] == TOLD, does=lambda command: Completed(command, 1, "", "no such user")
    )
    with pytest.raises(EzError) as error:
        await rotate(there, "db_password")
    assert not isinstance(error.value, WentBackError), "nothing of the stack was changed"
    assert "did not take the new value of mediawiki/db_password" in error.value.what
    new = value(there, "db_password")
    assert new not in f"{error.value.to_dict()}"
    assert pending(there) == {"db_password"}
    assert given(there, "mediawiki-database", "db_password") == old
    there.host.answer(lambda command: command.argv[:2] == TOLD)
    await there.apply()
    assert given(there, "mediawiki-database", "db_password") == value(there, "db_password") == new
    assert told(there)[-1].stdin == f"{new}\n".encode()
    assert not pending(there)


async def test_a_value_that_can_never_be_replaced_is_not(there: LabOnFakeServer) -> None:
    there.write(FLOWS)
    await there.apply()
    for name in ("credential_secret", None):
        with pytest.raises(UsageError, match="cannot be rotated") as error:
            there.lab.rotating("node-red", name)
        assert "Flows hold passwords" in error.value.cause


async def test_a_generation_from_before_a_rotation_comes_back_with_the_values_of_now(there: LabOnFakeServer) -> None:
    there.write(WIKI)
    await there.apply()
    await rotate(there, "db_password")
    now = value(there, "db_password")
    there.write(WIKI.replace("[mediawiki]", "[{mediawiki: {environment: {MEDIAWIKI_SITE_NAME: Other}}}]"))
    await there.apply()
    edits, before = await there.lab.rolling_back(1)
    assert edits
    await before.apply(await before.plan())
    assert given(there, "mediawiki", "db_password") == now
    assert given(there, "mediawiki-database", "db_password") == now
