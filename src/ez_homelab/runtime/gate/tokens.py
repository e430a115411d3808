"""Tokens of sessions and links: 256 random bits to whoever holds one, a SHA-256 to the gate."""

from __future__ import annotations

import secrets
from hashlib import sha256


def new_token() -> str:
    """A token that nobody guesses; 43 characters that fit into cookies and addresses."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """What is stored of a token. Plain SHA-256 is enough: there is nothing to guess in 256 random bits."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
