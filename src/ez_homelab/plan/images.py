"""Which images to build, pull or lock, and what has to be there before an edition can be put into the lab's mirror."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ez_homelab.config.model import MIRROR
from ez_homelab.images.editions import BASE_TAG
from ez_homelab.plan.action import Action

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ez_homelab.observe.observed import ObservedServer
    from ez_homelab.plan.action import Verb
    from ez_homelab.render.desired import DesiredImage, DesiredServer


COMPOSE_FILE = "compose.yaml"


def image_actions(server: DesiredServer, found: ObservedServer) -> Iterator[Action]:
    """One action per image that is missing or whose digest the lab has not locked; first the base of what is built."""
    due = [(image, verb, cause) for image in server.images for verb, cause in _need(image, found)]
    base: tuple[str, ...] = ()
    if any(verb == "build" for _, verb, _ in due) and BASE_TAG not in found.images:
        made = Action(server.name, "image", BASE_TAG, "build", "package editions are built on it")
        base = (made.id,)
        yield made
    for image, verb, cause in due:
        yield Action(server.name, "image", image.reference, verb, cause, base if verb == "build" else ())


def _need(image: DesiredImage, found: ObservedServer) -> Iterator[tuple[Verb, str]]:
    if not found.has_image(image.pinned):
        # An edition that the mirror holds is fetched from there; only one that it does not hold is built.
        yield "pull" if image.source == "registry" else "build", "not on the server"
    elif image.pinned == image.reference and image.app != MIRROR:
        yield "lock", "which image it is is not written down yet"


def named_by_digest(server: DesiredServer, found: ObservedServer, known: Collection[str]) -> Iterator[Action]:
    """The Compose files that will be otherwise once their images have a digest, beside the changes that are known.

    What an image is called by then is not known yet, so nothing else tells that they change.
    """
    for stack in server.stacks:
        path = f"{stack.folder}/{COMPOSE_FILE}"
        open_ones = any(service.image == service.image_name and service.app != MIRROR for service in stack.services)
        if open_ones and found.files.get(path) is not None and path not in known:
            yield Action(server.name, "file", path, "replace", "its images are named by their digests")


def after_the_mirror(actions: list[Action], server: DesiredServer) -> list[Action]:
    """The actions, with those that use the lab's own mirror waiting for it where it has to be started first."""
    starting = {action.id for action in actions if action.kind == "service" and action.name == f"{MIRROR}/{MIRROR}"}
    own = {image.reference for image in server.images if image.app == MIRROR} | {BASE_TAG}
    built = {image.reference for image in server.images if image.source == "packages"} - own
    return [
        replace(action, waits_for=(*action.waits_for, *starting))
        if action.kind == "image" and action.name in built else action
        for action in actions
    ]  # fmt: skip
