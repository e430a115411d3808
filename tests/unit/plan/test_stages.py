"""The two stages of an apply as values: what belongs to the first, and what the second may do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ez_homelab.images.editions import BASE_TAG
from ez_homelab.plan import Action, Plan, make_plan
from ez_homelab.plan.stages import image_stage, unapproved
from ez_homelab.testing.make_lab import desired_of, make_lab, observed_as

LAB = make_lab(images="packages")
DESIRED = desired_of(LAB)
THERE = observed_as(DESIRED)["core"]
BARE = replace(
    THERE, images={}, containers=(), networks=(), volumes=(), files=dict.fromkeys(THERE.files)
)  # fmt: skip
MIRROR_SERVICE = "core:service:mirror/mirror"


def plan_for(found: object) -> Plan:
    return make_plan(DESIRED, {"core": found})  # type: ignore[dict-item]


def images_of(plan: Plan) -> list[Action]:
    return [action for action in plan.actions if action.kind == "image"]


# --- the first stage -------------------------------------------------------------------------------------------


def test_the_first_stage_is_the_images_and_all_that_they_wait_for() -> None:
    plan = plan_for(BARE)
    stage = image_stage(plan)
    ids = {action.id for action in stage.actions}
    assert {action.id for action in images_of(plan)} <= ids
    assert MIRROR_SERVICE in ids
    assert all({*action.waits_for} <= ids for action in stage.actions), "it is closed: nothing waits for the second"
    others = {action.name.partition("/")[0] for action in stage.actions if action.kind == "service"}
    assert others == {"mirror"}
    assert not [action for action in stage.actions if action.kind == "file" and "/mirror/" not in action.name]


def test_the_first_stage_keeps_the_order_and_what_is_held() -> None:
    plan = replace(plan_for(BARE), warnings=("a word",))
    stage = image_stage(plan)
    places = [plan.actions.index(action) for action in stage.actions]
    assert places == sorted(places)
    assert stage.warnings == ("a word",)


def test_without_images_there_is_no_first_stage() -> None:
    assert not image_stage(plan_for(replace(THERE, containers=())))
    assert not image_stage(plan_for(THERE))


def test_a_cycle_ends() -> None:
    a = Action("core", "image", "a:1", "pull", "", waits_for=("core:file:/b",))
    b = Action("core", "file", "/b", "write", "", waits_for=("core:image:a:1", "core:file:/gone"))
    assert image_stage(Plan((a, b))).actions == (a, b)


# --- the order of images ---------------------------------------------------------------------------------------


def test_editions_wait_for_the_base_and_for_the_mirror_that_gives_them_a_digest() -> None:
    plan = plan_for(BARE)
    base, *editions = images_of(plan)
    assert (base.name, base.waits_for) == (BASE_TAG, ())
    for action in editions:
        of_mirror = action.name.startswith("ez-homelab/mirror:")
        assert {*action.waits_for} == {base.id} | (set() if of_mirror else {MIRROR_SERVICE}), action.name


def test_a_mirror_that_runs_is_waited_for_by_nobody() -> None:
    wiki = next(image for image in DESIRED.servers["core"].images if image.app == "dokuwiki")
    left = {name: found for name, found in THERE.images.items() if "dokuwiki" not in name}
    (action,) = images_of(plan_for(replace(THERE, images=left | {BASE_TAG: "sha256:x"})))
    assert (action.name, action.verb, action.waits_for) == (wiki.reference, "build", ())


def test_the_mirrors_own_image_needs_no_digest() -> None:
    unlocked = {
        name: replace(server, images=tuple(replace(image, pinned=image.reference) for image in server.images))
        for name, server in DESIRED.servers.items()
    }
    tags = {image.reference: f"sha256:{place}" for place, image in enumerate(unlocked["core"].images)}
    plan = make_plan(replace(DESIRED, servers=unlocked), {"core": replace(THERE, images=tags)})
    locks = {action.name.partition(":")[0] for action in images_of(plan) if action.verb == "lock"}
    assert "ez-homelab/dokuwiki" in locks
    assert "ez-homelab/mirror" not in locks


# --- what was approved -----------------------------------------------------------------------------------------

DUE = Action("core", "service", "wiki/dokuwiki", "recreate", "definition changed", downtime=4)
CASES: dict[str, tuple[Action, bool]] = {
    "the same": (DUE, True),
    "for another reason": (replace(DUE, cause="image a -> b"), True),
    "of another container": (replace(DUE, name="wiki/other"), False),
    "on another server": (replace(DUE, server="nas"), False),
    "less: a start": (replace(DUE, verb="start"), True),
    "less: a restart": (replace(DUE, verb="restart"), True),
    "something else: removing it": (replace(DUE, verb="remove"), False),
    "more harm": (replace(DUE, destructive=True), False),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_approved(case: str) -> None:
    due, approved = CASES[case]
    surplus = unapproved(Plan((DUE,)), Plan((due,)))
    assert surplus == (() if approved else (due,))


def test_a_start_that_was_approved_is_no_leave_to_make_anew() -> None:
    assert unapproved(Plan((replace(DUE, verb="start"),)), Plan((DUE,))) == (DUE,)


def test_what_was_said_to_be_destructive_may_be() -> None:
    harm = replace(DUE, destructive=True)
    assert unapproved(Plan((harm,)), Plan((harm,))) == ()
