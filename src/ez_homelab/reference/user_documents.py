"""The documents of `ez-homelab users ... --json`, as json_documents.py has those of the other commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_ACCOUNT = {
    "password": "whether a password is set",
    "totp": "whether one-time codes are set up",
    "passkeys": "how many passkeys there are",
    "recovery_left": "how many recovery codes are not used yet",
    "sessions": "how many sessions are open; null with Authelia, which does not tell",
    "last_seen": "when a session was last used, UTC, ISO 8601, or null",
    "invited_until": "until when a one-time link is valid, UTC, ISO 8601, or null",
}
_USER = {
    "user": "what the person signs in with",
    "name": "the person's name",
    "email": "the person's e-mail address; empty: none",
    "groups": "the groups that the person is in",
    "disabled": "whether users.yaml lets the person sign in no longer",
    "state": "`active`, `invited` (a one-time link is valid), `no password` (nor a link), `disabled`, or `unknown` "
    "(sign-on could not be asked)",
    **{name: f"{meaning}; null: not known" for name, meaning in _ACCOUNT.items()},
}
_LINK = {
    "user": "whom it is for",
    "url": "**the link in plain text**: whoever opens it first uses it up",
    "expires": "until when it is valid, UTC, ISO 8601",
}
_WAY = {
    "user": "whom it is for",
    "url": "**the link in plain text**: whoever opens it first uses it up; null: there is none here",
    "expires": "until when the link is valid, UTC, ISO 8601; null: there is none here",
    "password": "**a password in plain text** that was made for a person without an e-mail address (Authelia), or null",
    "mailed_to": "the address to which Authelia has sent the link instead, or null",
}
_DONE = {"user": "the person", "done": "what was done, in words"}


def user_documents(applied: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The keys of every document; `applied` are those of a change that was carried out."""
    edit = {
        "file": "users.yaml",
        "diff": "its change, as a unified diff; empty: it said so already",
        **applied,
        "proof": "the proof of what it touched; null: no container was changed",
    }
    link = {"link": "how the person comes to a password; null: something could not be applied, and there is none yet"}
    return {
        "users list": {
            "users": "everybody in users.yaml",
            **{f"users[].{key}": meaning for key, meaning in _USER.items()},
            "unknown": "why sign-on could not be asked; empty: it was",
        },
        "users add": edit | link | {f"link.{key}": meaning for key, meaning in _WAY.items()},
        "users disable": edit,
        "users enable": edit,
        "users groups": {
            "user": "without groups in the call: the person",
            "groups": "without groups in the call: the groups that the person is in",
            **edit,
        },
        "users remove": edit,
        "users invite": _WAY,
        "users login-link": _LINK,
        "users passwd": _DONE,
        "users reset-second-factor": _DONE,
        "users sign-out": _DONE,
        "users code": {
            "user": "whom it was written for",
            "date": "when, as Authelia writes it",
            "subject": "what it is about",
            "code": "**the code in plain text**; empty: it has a link",
            "link": "**the link in plain text**; empty: it has a code",
        },
    }
