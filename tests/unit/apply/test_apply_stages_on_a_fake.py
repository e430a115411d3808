"""The two stages of an apply: images first, then what was approved, with the digests; and what is kept of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from engine_in_memory import ONE_APP, EngineInMemory, LabOnFakeServer, as_named, digest_of

from ez_homelab.apply.failures import ApplyFailedError
from ez_homelab.apply.way_back import GoBackFailedError, WentBackError
from ez_homelab.cli.commands.apply import plan_and_apply
from ez_homelab.errors import PlanStaleError
from ez_homelab.images.editions import BASE_TAG
from ez_homelab.images.lock import FILE
from ez_homelab.testing.fake_host import Killed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ez_homelab.hosts import Command

WIKI = "/opt/stacks/wiki/compose.yaml"
PACKAGES = ONE_APP + "images: {source: packages}\n"
MORE = ONE_APP.replace("[dokuwiki]", "[{dokuwiki: {limits: {memory: 600M}}}]")


class EngineWithMirror(EngineInMemory):
    """An engine that builds and pushes. A digest has only what was pushed; the mirror's own image runs by its tag."""

    def __init__(self) -> None:
        super().__init__()
        self.images.append(BASE_TAG)
        self.pushed: list[str] = []
        self.unbuildable: set[str] = set()
        """Names of images whose build fails."""

    def has(self, reference: str) -> bool:
        return super().has(reference) or (reference.startswith("ez-homelab/mirror:") and reference in self.images)

    def _build(self, _command: Command, words: tuple[str, ...]) -> tuple[int, str]:
        tag = words[words.index("--tag") + 1]
        if tag.rpartition(":")[0] in self.unbuildable:
            return 1, "E: Unable to locate package"
        self.images.append(tag)
        return 0, ""

    def _tag(self, _command: Command, words: tuple[str, ...]) -> tuple[int, str]:
        self.images.append(as_named(words[1]))
        return 0, ""

    def _push(self, _command: Command, words: tuple[str, ...]) -> tuple[int, str]:
        assert "mirror" in self.containers, "it is pushed before there is a mirror"
        self.pushed.append(words[0])
        return 0, f"1: digest: {digest_of(words[0])} size: 1\n"

    def _manifest(self, _command: Command, words: tuple[str, ...]) -> tuple[int, str]:
        known = {f"{name.rpartition(':')[0]}@{digest_of(name)}" for name in self.pushed}
        return (0, "{}") if words[-1] in known else (1, "no such manifest")

    def _image(self, command: Command, words: tuple[str, ...]) -> tuple[int, str]:
        if words[0] != "inspect":
            return super()._image(command, words)
        named = [name for name in self.pushed if name.endswith(words[-1])]
        return 0, json.dumps([f"{name.rpartition(':')[0]}@{digest_of(name)}" for name in named])


@pytest.fixture
def packages(there: LabOnFakeServer) -> EngineWithMirror:
    """A lab that builds its images."""
    there.host = host = EngineWithMirror()
    there.write(PACKAGES)
    return host


def locked(there: LabOnFakeServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((there.folder / FILE).read_text())
    return found


def composed(there: LabOnFakeServer, path: str = WIKI) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(there.host.files[path].content)["services"]
    return found


def history(there: LabOnFakeServer) -> list[tuple[int, str, dict[str, str]]]:
    return [(one.number, one.outcome, dict(one.outcomes)) for one in reversed(there.lab.history())]


# --- images and digests ----------------------------------------------------------------------------------------


async def test_a_plan_writes_no_lock(there: LabOnFakeServer) -> None:
    await there.lab.plan()
    assert not (there.folder / FILE).exists()


async def test_digests_of_pulled_images_land_in_the_lock_and_in_compose_files(there: LabOnFakeServer) -> None:
    there.write(ONE_APP)
    await there.apply()
    name = next(name for name in locked(there)["images"] if "dokuwiki" in name)
    entry = locked(there)["images"][name]
    assert entry["digest"] == digest_of(name)
    assert entry["source"] == "registry"
    assert locked(there)["sources"] == {"dokuwiki": "registry"}
    assert composed(there)["dokuwiki"]["image"].endswith(f":{name.partition(':')[2]}@{digest_of(name)}")


async def test_all_images_are_there_before_anything_else_is_changed(there: LabOnFakeServer) -> None:
    await there.apply()
    orders = there.host.orders()
    pulls = [number for number, order in enumerate(orders) if order.startswith("docker pull")]
    others = [number for number, order in enumerate(orders) if order.startswith(("docker network", "docker compose"))]
    assert max(pulls) < min(others)


async def test_an_edition_gets_its_digest_from_the_mirror(there: LabOnFakeServer, packages: EngineWithMirror) -> None:
    await there.apply()
    image = composed(there)["dokuwiki"]["image"]
    name = image.partition("@")[0]
    assert name.startswith("127.0.0.1:20444/ez-homelab/dokuwiki:")
    assert image == f"{name}@{digest_of(name)}"
    assert locked(there)["images"][name.partition("/")[2]] == {
        "digest": digest_of(name), "repository": name.rpartition(":")[0], "source": "packages",
        "locked": locked(there)["images"][name.partition("/")[2]]["locked"],
    }  # fmt: skip
    assert composed(there, "/opt/stacks/mirror/compose.yaml")["mirror"]["image"].startswith("ez-homelab/mirror:")
    assert len(packages.pushed) == 4, "traefik, the socket proxy, the gate and the wiki; not the mirror itself"
    assert not await there.lab.plan()


async def test_the_second_apply_builds_and_pushes_nothing(there: LabOnFakeServer, packages: EngineWithMirror) -> None:
    await there.apply()
    begin = len(packages.orders())
    await there.apply()
    assert packages.orders()[begin:] == []


async def test_a_build_that_fails_stops_only_what_needs_it(there: LabOnFakeServer, packages: EngineWithMirror) -> None:
    packages.unbuildable = {"ez-homelab/dokuwiki"}
    with pytest.raises(ApplyFailedError) as failed:
        await there.apply()
    assert "ez-homelab/dokuwiki" in failed.value.errors[0].what
    assert sorted(packages.containers) == ["docker-socket-proxy", "gate", "mirror", "traefik"]
    assert history(there) == [(1, "failed", {"core": "done", "mirror": "done", "wiki": "failed"})]
    packages.unbuildable = set()
    await there.apply()
    assert "dokuwiki" in packages.containers
    assert history(there)[-1][1] == "done"


# --- approval --------------------------------------------------------------------------------------------------


def while_pulling(there: LabOnFakeServer, happens: Callable[[], object]) -> None:
    pull = there.host._pull

    def pulled(command: Command, words: tuple[str, ...]) -> tuple[int, str]:
        happens()
        return pull(command, words)

    there.host._pull = pulled  # type: ignore[method-assign]


async def test_what_was_not_approved_is_not_done_in_the_second_stage(there: LabOnFakeServer) -> None:
    there.write(ONE_APP)
    await there.apply()
    there.write(ONE_APP.replace("[dokuwiki]", "[dokuwiki, glances]"))
    plan = await there.lab.plan()
    while_pulling(there, lambda: there.host.containers.pop("dokuwiki", None))
    with pytest.raises(PlanStaleError) as error:
        await there.lab.apply(plan)
    assert error.value.evidence == "+ service     wiki/dokuwiki  create: missing"
    assert sorted(there.host.containers) == ["docker-socket-proxy", "gate", "traefik"]
    assert "edge-glances" not in there.host.networks
    assert "glances" not in composed(there)
    await there.apply()
    assert {"dokuwiki", "glances"} <= there.host.containers.keys()


async def test_what_is_no_longer_due_after_the_images_is_left_out(there: LabOnFakeServer) -> None:
    there.write(ONE_APP)
    await there.apply()
    there.write(ONE_APP.replace("[dokuwiki]", "[dokuwiki, glances]"))
    await there.apply()
    there.host.images = [name for name in there.host.images if "glances" not in name]
    glances = there.host.containers.pop("glances")
    plan = await there.lab.plan()
    while_pulling(there, lambda: there.host.containers.update(glances=glances))
    assert "service" in {action.kind for action in plan.actions}
    await there.lab.apply(plan)
    assert there.host.containers["glances"] is glances


# --- generations -----------------------------------------------------------------------------------------------


async def test_an_apply_that_did_something_is_a_generation(there: LabOnFakeServer) -> None:
    there.write(ONE_APP)
    plan = await there.lab.plan()
    await there.lab.apply(plan)
    assert history(there) == [(1, "done", {"core": "done", "wiki": "done"})]
    (one,) = there.lab.history()
    assert (one.who, one.command, one.plan) == ("ann", "ez apply", plan.hash)
    assert "missing" in one.why
    recorded = await there.lab.generation(1)
    assert recorded.desired == there.lab.desired
    assert recorded.lab_files["homelab.yaml"] == ONE_APP.encode()
    assert FILE in recorded.lab_files


async def test_a_stack_that_was_never_up_has_failed_and_is_no_base(there: LabOnFakeServer) -> None:
    there.write(ONE_APP)
    there.host.ill = {"dokuwiki"}
    with pytest.raises(ApplyFailedError):
        await there.apply()
    assert history(there) == [(1, "failed", {"core": "done", "wiki": "failed"})]
    assert "dokuwiki" in there.host.containers, "it stays, so that its log can be read"


def ill_where_changed(there: LabOnFakeServer) -> None:
    compose = there.host._compose

    def judged(command: Command, words: tuple[str, ...]) -> tuple[int, str]:
        there.host.ill = {"dokuwiki"} if b"600m" in there.host.files[WIKI].content else set()
        return compose(command, words)

    there.host._compose = judged  # type: ignore[method-assign]


async def test_a_stack_that_went_back_runs_its_generation_before(there: LabOnFakeServer) -> None:
    there.write(ONE_APP)
    await there.apply()
    before, other = there.host.files[WIKI], there.host.containers["traefik"]
    ill_where_changed(there)
    there.write(MORE)
    with pytest.raises(WentBackError) as error:
        await there.apply()
    assert (error.value.stack, error.value.generation) == ("wiki", 1)
    assert "dokuwiki" in error.value.now_runs
    assert there.host.files[WIKI] == before
    assert there.host.containers["traefik"] is other, "nothing else is started again"
    assert history(there)[1:] == [(2, "went-back", {"core": "done", "wiki": "went-back"})]
    assert there.runs()[0] == "failed"
    assert (await there.lab.generation(2)).lab_files["homelab.yaml"] == MORE.encode()


async def test_the_next_failure_goes_back_to_what_runs_and_not_to_what_failed(there: LabOnFakeServer) -> None:
    there.write(ONE_APP)
    await there.apply()
    ill_where_changed(there)
    there.write(MORE)
    for _ in range(2):
        with pytest.raises(WentBackError) as error:
            await there.apply()
        assert error.value.generation == 1
    there.write(ONE_APP)
    await there.apply()
    assert [outcome for _, outcome, _ in history(there)] == ["done", "went-back", "went-back", "done"]


async def test_a_way_back_that_fails_is_a_failed_stack(there: LabOnFakeServer) -> None:
    there.write(ONE_APP)
    await there.apply()
    there.host.ill = {"dokuwiki"}
    there.write(MORE)
    with pytest.raises(GoBackFailedError):
        await there.apply()
    assert history(there)[-1] == (2, "failed", {"core": "done", "wiki": "failed"})


async def test_what_a_run_reached_that_was_killed_before_it_was_written_down_is_written_by_the_next(
    there: LabOnFakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    there.write(ONE_APP)
    await there.apply()
    there.write(MORE)

    async def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("ez_homelab.apply.run.Apply._record", killed)
        with pytest.raises(Killed):
            await there.apply()
    assert [one.number for one in there.lab.history()] == [1]
    assert not await there.lab.plan()
    await plan_and_apply(there.lab, yes=True, quiet=True)
    assert [one.number for one in there.lab.history()] == [2, 1]
    assert there.runs()[0] == "done"
    assert len(there.record()[WIKI]) == 1
    await plan_and_apply(there.lab, yes=True, quiet=True)
    assert [one.number for one in there.lab.history()] == [2, 1], "an unchanged apply makes none"
