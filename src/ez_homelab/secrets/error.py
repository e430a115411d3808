"""The one kind of error that the store of secrets has."""

from __future__ import annotations

from ez_homelab.errors import EzError


class SecretsError(EzError):
    """The lab's secrets cannot be read: their key is missing or another one, or their file is damaged."""

    code = "secrets"
