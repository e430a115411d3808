"""An apply has two stages: first the images, whose digests only a build or a registry knows, then everything else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ez_homelab.plan.action import Action, Plan


def image_stage(plan: Plan) -> Plan:
    """The part of the plan that brings images, with all that it waits for; empty where no image is due."""
    by_id = {action.id: action for action in plan.actions}
    wanted: set[str] = set()
    queue = [action.id for action in plan.actions if action.kind == "image"]
    while queue:
        identifier = queue.pop()
        if identifier not in wanted:
            wanted.add(identifier)
            queue += [earlier for earlier in by_id[identifier].waits_for if earlier in by_id]
    return replace(plan, actions=tuple(action for action in plan.actions if action.id in wanted))


def unapproved(approved: Plan, due: Plan) -> tuple[Action, ...]:
    """What is due now and was not approved: another resource, another verb, or more harm than was told."""
    known = {action.id: action for action in approved.actions}
    return tuple(action for action in due.actions if not _covered(known.get(action.id), action))


def _covered(approved: Action | None, due: Action) -> bool:
    if approved is None or (due.destructive and not approved.destructive):
        return False
    return approved.verb == due.verb or (approved.verb == "recreate" and due.verb in ("start", "restart"))
