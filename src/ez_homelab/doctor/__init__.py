"""What stands in a lab's way on a server, worst first, each with its evidence, its cause and one fix.

`examine` runs every check in `CHECKS`. A check is one module in checks/: probes that only look, and a pure function
from what they said to findings.
"""

from ez_homelab.doctor.examine import CHECKS, examine
from ez_homelab.doctor.finding import Check, CouldNotLook, Finding, Severity, Subject

__all__ = ["CHECKS", "Check", "CouldNotLook", "Finding", "Severity", "Subject", "examine"]
