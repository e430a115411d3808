"""EZ-Homelab: one file describes a lab, one command makes every server match it, one proof shows that it holds."""

__version__ = "0.1.0"
