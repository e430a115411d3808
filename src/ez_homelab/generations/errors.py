"""What can be wrong with a generation that is kept."""

from __future__ import annotations

from ez_homelab.errors import EzError


class GenerationError(EzError):
    """A kept generation could not be written, or cannot be had again: a part is missing, damaged, or too new."""

    code = "generation"
