"""A lab whose images have no digest yet, on a server that runs them already."""

from __future__ import annotations

from dataclasses import replace

from ez_homelab.catalog.loader import Catalog
from ez_homelab.images.reference import as_listed
from ez_homelab.plan import make_plan
from ez_homelab.plan.stages import unapproved
from ez_homelab.render import Given, render
from ez_homelab.testing.make_lab import desired_of, made_up_secrets, make_lab, observed_as

LAB = make_lab()
UNLOCKED = render(LAB, Catalog.shipped().app, Given(secrets=made_up_secrets(LAB, Catalog.shipped())))
LOCKED = desired_of(LAB)


def test_everything_that_follows_from_the_digests_is_approved_before_they_are_known() -> None:
    before = observed_as(UNLOCKED)
    approved = make_plan(UNLOCKED, before)
    server = before["core"]
    images = LOCKED.servers["core"].images
    digests = {as_listed(image.pinned): server.images[as_listed(image.reference)] for image in images}
    there = {"core": replace(server, images={**server.images, **digests})}
    due = make_plan(LOCKED, there)
    assert due, "containers are made anew with the digest"
    assert unapproved(approved, due) == ()
    assert {action.verb for action in approved.actions if action.kind == "image"} == {"lock"}


def test_a_lab_with_digests_has_nothing_to_name() -> None:
    assert not make_plan(LOCKED, observed_as(LOCKED))


def test_an_app_that_was_taken_down_is_still_known_by_the_source_of_its_images() -> None:
    whole = observed_as(LOCKED, missing={"dokuwiki"})["core"]
    applied = replace(whole.applied, images={"dokuwiki": "127.0.0.1:20444/ez-homelab/dokuwiki:1@sha256:" + "1" * 64})
    plan = make_plan(LOCKED, {"core": replace(whole, applied=applied)})
    (action,) = (action for action in plan.actions if action.kind == "service")
    assert action.destructive
    assert action.verb == "create"
    assert "may not read its data" in action.cause
