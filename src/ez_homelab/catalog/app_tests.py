"""tests.yaml: what must hold for the app itself, from outside, after it was installed, updated, restored or moved."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ez_homelab.catalog.base import HttpStatuses, Model, Request, Text, UrlPath

Occasion = Literal["install", "restart", "upgrade", "restore", "move"]


class Check(Model):
    """One request and what the answer must be. Nothing expected of the status means 200."""

    path: UrlPath
    headers: dict[str, str] = Field(default_factory=dict)
    expect_status: HttpStatuses = (200,)
    expect_title: Text | None = None
    expect_text: Text | None = None


class WriteThenRead(Model):
    """A fact that is written once and must be readable after every occasion."""

    create: Request
    body: str | None = None
    verify: Request
    expect_text: Text | None = None


class AppTests(Model):
    """`anonymous` and `signed_in` are asked through the public name, `inside` straight from the app's container.

    `spoof` sends forged identity headers and expects what an anonymous request gets.
    """

    after: tuple[Occasion, ...] = ("install", "restart", "upgrade", "restore", "move")
    inside: tuple[Check, ...] = ()
    anonymous: tuple[Check, ...] = ()
    signed_in: tuple[Check, ...] = ()
    bypass: tuple[Check, ...] = ()
    spoof: tuple[Check, ...] = ()
    write_then_read: WriteThenRead | None = None
    upgrade_from: tuple[Text, ...] = ()
