"""Which data is copied before a new version starts on it, what waits for that, and what a plan says of the way back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ez_homelab.observe import AppliedRecord, ObservedServer
from ez_homelab.plan import Action
from ez_homelab.plan.copies import (
    MOVE_SECONDS,
    STOP_SECONDS,
    after_copies,
    after_rotations,
    copy_actions,
    way_back_downtime,
)
from ez_homelab.plan.services import ServicePlanner
from ez_homelab.testing.make_lab import container_of, desired_of, make_lab, observed_as

if TYPE_CHECKING:
    from ez_homelab.render.desired import DesiredServer, DesiredService

DESIRED = desired_of(make_lab())
WIKI = next(service for service in DESIRED.servers["core"].services if service.name == "dokuwiki")
VOLUME = WIKI.volumes[0]
SERVER = replace(
    DESIRED.servers["core"],
    volumes=tuple(
        replace(volume, volume_class="database" if volume.name == VOLUME else "config")
        for volume in DESIRED.servers["core"].volumes
    ),
)
OLD = "dokuwiki:1"
NEW = WIKI.image_name


def found(applied: str = OLD, *, missing: bool = False, **fields: Any) -> ObservedServer:
    """The server with the app in another state; `applied` is the image of the last apply."""
    looks = {"image": OLD, "image_id": "sha256:old", "fingerprint": "before", **fields}
    seen = observed_as(DESIRED, containers={"dokuwiki": looks}, missing={"dokuwiki"} if missing else ())["core"]
    images = {**seen.images, OLD: "sha256:old"}
    return replace(seen, images=images, applied=AppliedRecord(images={"dokuwiki": applied} if applied else {}))


def one(seen: ObservedServer, server: DesiredServer = SERVER) -> Action:
    (action,) = copy_actions(server, seen)
    return action


def test_a_database_is_copied_before_another_image_starts_on_it() -> None:
    action = one(found())
    assert action.id == f"core:volume:{VOLUME}:copy"
    assert " ".join(action.line().split()) == (
        f"+ volume {VOLUME} copy: before dokuwiki goes from dokuwiki:1 to {NEW}; dokuwiki is stopped for it"
        " (down about 5 s)"
    )
    assert action.settings == {"image": OLD, "fresh": "yes", "stop": "dokuwiki", "again": "", "space_for": VOLUME}
    assert action.waits_for == ()


def test_it_waits_for_the_images_of_its_stack() -> None:
    seen = found()
    without = {name: image for name, image in seen.images.items() if "dokuwiki/dokuwiki" not in name}
    assert one(replace(seen, images=without)).waits_for == (f"core:image:{NEW}",)


NOTHING = {
    "the same image": found(image=WIKI.image),
    "the same image under another name": found(image="mirror:5000/dokuwiki:1", image_id=f"sha256:{WIKI.image}"),
    "never applied": found("", missing=True),
    "gone, and was the same image": found(WIKI.image, missing=True),
    "no such volume yet": replace(found(), volumes=()),
}


@pytest.mark.parametrize("case", NOTHING)
def test_nothing_is_copied(case: str) -> None:
    assert copy_actions(SERVER, NOTHING[case]) == []


def test_only_databases_are_copied() -> None:
    assert copy_actions(DESIRED.servers["core"], found()) == []


def test_what_a_person_stopped_is_copied_where_it_is_to_start() -> None:
    seen = found(state="exited", health="none")
    assert copy_actions(SERVER, seen, ServicePlanner(SERVER, seen, start_held=False).left_alone) == []
    (action,) = copy_actions(SERVER, seen, ServicePlanner(SERVER, seen, start_held=True).left_alone)
    assert action.settings["stop"] == ""
    assert action.downtime == 0
    assert "is stopped for it" not in action.cause


def test_a_complete_copy_stands_where_the_container_is_gone() -> None:
    settings = one(found(missing=True)).settings
    assert (settings["fresh"], settings["image"]) == ("no", OLD)
    assert "touched" not in settings


def test_another_version_may_have_changed_the_data() -> None:
    settings = one(found(image="dokuwiki:2", image_id="sha256:between")).settings
    assert (settings["fresh"], settings["image"], settings["touched"]) == ("no", OLD, "dokuwiki:2")


def test_without_a_record_the_container_says_which_version_it_was() -> None:
    settings = one(found("")).settings
    assert (settings["fresh"], settings["image"]) == ("yes", OLD)


def with_helper(image: str) -> DesiredServer:
    """The app has a helper on the same volume."""
    helper = replace(WIKI, name="helper", image=image, image_name=image, fingerprint="h", volumes=(VOLUME,))
    stacks = tuple(
        replace(stack, services=(*stack.services, helper)) if stack.name == WIKI.stack else stack
        for stack in SERVER.stacks
    )
    return replace(SERVER, stacks=stacks)


def test_others_on_the_volume_are_stopped_and_go_on_where_they_stay_as_they_are() -> None:
    server = with_helper("helper:1")
    helper = next(service for service in server.services if service.name == "helper")
    seen = found()
    seen = replace(seen, containers=(*seen.containers, container_of(helper)))
    settings = one(seen, server).settings
    assert (settings["stop"], settings["again"]) == ("dokuwiki,helper", "helper")


def test_a_helper_that_has_the_new_version_already_may_have_changed_the_data() -> None:
    server = with_helper(NEW)
    helper = next(service for service in server.services if service.name == "helper")
    seen = found()
    record = AppliedRecord(images={"dokuwiki": OLD, "helper": OLD})
    seen = replace(seen, containers=(*seen.containers, container_of(helper)), applied=record)
    settings = one(seen, server).settings
    assert (settings["fresh"], settings["touched"]) == ("no", NEW)


def with_database() -> tuple[DesiredServer, DesiredService]:
    """The app keeps its data in a database of its own, which stays as it is; and that one."""
    database = replace(
        WIKI,
        name="dokuwiki-database",
        image=f"db:1@sha256:{'d' * 64}",
        image_name="db:1",
        fingerprint="d",
        volumes=(VOLUME,),
    )
    web = replace(WIKI, volumes=())
    stacks = tuple(
        replace(
            stack,
            services=(*(web if service.name == "dokuwiki" else service for service in stack.services), database),
        ) if stack.name == WIKI.stack else stack
        for stack in SERVER.stacks
    )  # fmt: skip
    return replace(SERVER, stacks=stacks), database


def test_a_database_beside_the_app_is_copied_too_because_the_app_changes_it_over_the_network() -> None:
    server, database = with_database()
    seen = found()
    settings = one(replace(seen, containers=(*seen.containers, container_of(database))), server).settings
    # Who writes is stopped too, and stays so: what it wrote after the copy would be lost.
    assert (settings["stop"], settings["again"]) == ("dokuwiki,dokuwiki-database", "dokuwiki-database")
    assert (settings["image"], settings["fresh"]) == (OLD, "yes")


def test_a_new_version_beside_its_database_may_have_changed_the_data() -> None:
    server, database = with_database()
    seen = found(image="dokuwiki:2", image_id="sha256:between")
    settings = one(replace(seen, containers=(*seen.containers, container_of(database))), server).settings
    assert (settings["fresh"], settings["touched"]) == ("no", "dokuwiki:2")


def test_the_worst_downtime_counts_the_database_beside_the_app() -> None:
    server, database = with_database()
    seen = found()
    seen = replace(seen, containers=(*seen.containers, container_of(database)))
    actions = {action.name: action for action in ServicePlanner(server, seen, start_held=False).actions(after=())}
    assert actions[WIKI.key].worst_downtime == way_back_downtime([WIKI, database], 1)


def test_the_volumes_of_a_stack_are_copied_one_after_the_other_and_space_is_looked_for_once() -> None:
    more = replace(WIKI, volumes=(VOLUME, "second"))
    server = replace(
        SERVER,
        volumes=(*SERVER.volumes, replace(SERVER.volumes[0], name="second", volume_class="database")),
        stacks=tuple(
            replace(stack, services=(more,)) if stack.name == WIKI.stack else stack for stack in SERVER.stacks
        ),
    )
    seen = found()
    seen = replace(seen, volumes=(*seen.volumes, replace(seen.volumes[0], name="second")))
    first, second = copy_actions(server, seen)
    assert first.settings["space_for"] == f"{VOLUME},second"
    assert second.settings["space_for"] == "second"
    assert second.waits_for == (first.id,)


def test_files_services_and_owners_of_the_stack_wait_for_its_copies() -> None:
    copy = one(found())
    names = {
        "file": f"/opt/stacks/{WIKI.stack}/compose.yaml",
        "service": WIKI.key,
        "volume": VOLUME,
    }
    own = [Action("core", kind, name, "own" if kind == "volume" else "replace", "", waits_for=("x",))
           for kind, name in names.items()]  # type: ignore[arg-type] # fmt: skip
    others = [Action("core", "file", "/opt/stacks/other/compose.yaml", "replace", ""),
              Action("core", "service", "other/app", "recreate", ""),
              Action("core", "volume", "other", "create", "")]  # fmt: skip
    assert [action.waits_for for action in after_copies(own, [copy], SERVER)] == [("x", copy.id)] * 3
    assert after_copies(others, [copy], SERVER) == others


def test_a_copy_waits_until_the_app_was_told_its_new_secrets() -> None:
    told = [Action("core", "secret", f"{stack}/x", "rotate", "", settings={"stack": stack})
            for stack in (WIKI.stack, "other")]  # fmt: skip
    (copy,) = after_rotations([one(found())], told, SERVER)
    assert copy.waits_for == (told[0].id,)


def test_the_plan_says_how_long_the_app_is_away_where_it_has_to_go_back() -> None:
    seen = found()
    (action,) = ServicePlanner(SERVER, seen, start_held=False).actions(after=copy_actions(SERVER, seen))
    assert action.worst_downtime == way_back_downtime([WIKI], 1)
    assert action.worst_downtime == 2 * (WIKI.ready_within + STOP_SECONDS + MOVE_SECONDS)
    assert f"(down about {action.downtime:.0f} s, at most {action.worst_downtime:.0f} s if it has to go back)" in (
        action.line()
    )
    assert f"core:volume:{VOLUME}:copy" in action.waits_for


def test_a_changed_definition_alone_says_nothing_of_the_way_back() -> None:
    seen = found(image=WIKI.image, image_id=f"sha256:{WIKI.image}")
    (action,) = ServicePlanner(SERVER, seen, start_held=False).actions(after=[])
    assert action.worst_downtime == 0
    assert "go back" not in action.line()
