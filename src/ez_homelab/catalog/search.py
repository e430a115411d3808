"""Apps by a word: what is called so comes before what is about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.catalog.faults import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ez_homelab.catalog.manifest import Manifest


def search(manifests: Iterable[Manifest], words: Iterable[str]) -> list[Manifest]:
    """The apps that every word fits, best first; of equally good ones in the order of their ids."""
    wanted = [word.lower() for word in words]
    ranked = [(min(_fit(app, word) for word in wanted), sum(_fit(app, word) for word in wanted), app)
              for app in manifests]  # fmt: skip
    fitting = [entry for entry in ranked if entry[0] > 0]
    return [app for _, _, app in sorted(fitting, key=lambda entry: (-entry[1], entry[2].id))]


def suggestion(manifests: Iterable[Manifest], words: Iterable[str]) -> str:
    """`did you mean X?` for the first word that is near to a name, tag or category; else nothing."""
    known = {word for app in manifests for word in (app.id, app.name.lower(), app.category, *app.tags)}
    near = (did_you_mean(word.lower()[:60], tuple(sorted(known))) for word in words)
    return next(filter(None, near), "")


def _fit(app: Manifest, word: str) -> int:
    """How well the word fits, 0: not at all."""
    names, subjects, tagline = (app.id, app.name.lower()), (app.category, *app.tags), app.tagline.lower()
    degrees = (
        (100, word in names),
        (80, any(name.startswith(word) for name in names)),
        (60, word in subjects),
        (50, any(word in name for name in names)),
        (30, any(word in subject for subject in subjects)),
        (20, word in tagline.split()),
        (10, word in tagline),
    )
    return next((degree for degree, holds in degrees if holds), 0)
