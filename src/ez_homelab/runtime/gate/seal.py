"""What the key file is good for: a database that gets lost alone gives away no second factor."""

from __future__ import annotations

import hmac
import os
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE = 12


class SealBrokenError(Exception):
    """What was sealed cannot be opened: another key, another owner, or altered."""


class Seal:
    """Seals secrets for one owner (AES-256-GCM) and makes keyed hashes (HMAC-SHA-256), with a key for each."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(_derived(key, b"gate totp"))
        self._mac_key = _derived(key, b"gate recovery codes")

    def close(self, secret: str, owner: str) -> bytes:
        """The secret, sealed; only `open` with the same owner gives it back."""
        nonce = os.urandom(NONCE)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), owner.encode())

    def open(self, sealed: bytes, owner: str) -> str:
        """The secret again. Raises `SealBrokenError`."""
        try:
            return self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], owner.encode()).decode()
        except (InvalidTag, ValueError) as fault:
            raise SealBrokenError(f"what is sealed for {owner} cannot be opened with this key") from fault

    def mac(self, text: str) -> bytes:
        """A keyed hash: without the key file nobody can try out what the text was."""
        return hmac.new(self._mac_key, text.encode(), sha256).digest()


def _derived(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(key)
