"""What a server needs before it can carry a lab: look (`survey`), say what is missing (`steps`), `install` it."""

from ez_homelab.prerequisites.install import install
from ez_homelab.prerequisites.links import missing_links
from ez_homelab.prerequisites.steps import (
    ComposeBinaryStep,
    InstallStep,
    LinkStep,
    PackagesStep,
    RepositoryStep,
    StartEngineStep,
    steps,
)
from ez_homelab.prerequisites.survey import Survey, survey

__all__ = [
    "ComposeBinaryStep",
    "InstallStep",
    "LinkStep",
    "PackagesStep",
    "RepositoryStep",
    "StartEngineStep",
    "Survey",
    "install",
    "missing_links",
    "steps",
    "survey",
]
