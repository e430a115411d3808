"""One look at every server, all at the same time, as values for the planner."""

from ez_homelab.observe.look import look
from ez_homelab.observe.observed import (
    AppliedRecord,
    ObservedCertificate,
    ObservedContainer,
    ObservedNetwork,
    ObservedServer,
    ObservedVolume,
    Unknown,
)

__all__ = [
    "AppliedRecord",
    "ObservedCertificate",
    "ObservedContainer",
    "ObservedNetwork",
    "ObservedServer",
    "ObservedVolume",
    "Unknown",
    "look",
]
