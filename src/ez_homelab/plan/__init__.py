"""Compares what should be with what is, and says what to do about it. Touches nothing."""

from ez_homelab.plan.action import Action, Held, Kept, Plan
from ez_homelab.plan.files import OVERWRITE, Choice, Choices
from ez_homelab.plan.planner import make_plan

__all__ = ["OVERWRITE", "Action", "Choice", "Choices", "Held", "Kept", "Plan", "make_plan"]
