"""What can be told and done about a lab's secrets; the door to it is the class in this package."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ez_homelab.errors import UsageError

if TYPE_CHECKING:
    from ez_homelab.lab import Homelab
    from ez_homelab.secrets.table import SecretRow
    from ez_homelab.secrets.value import Secret


def table(lab: Homelab) -> tuple[SecretRow, ...]:
    """Every secret of the lab's apps, without its value."""
    from ez_homelab.render.secrets import readers
    from ez_homelab.secrets.table import SecretRow

    if not lab.has_secrets:
        return ()
    by_name = {instance.name: instance for instance in lab.instances}
    return tuple(
        SecretRow(name, secret, entry.made, entry.rotated, entry.pending, readers(by_name[name], secret))
        for (name, secret), entry in lab.store.entries().items()
        if name in by_name
    )


def value(lab: Homelab, instance: str, secret_id: str) -> Secret:
    """One value. Raises `UsageError` where there is no such secret, or none yet."""
    _secret_ids(lab, instance, secret_id)
    from ez_homelab.secrets.store import SecretStore

    value = SecretStore.open(lab.folder).get(instance, secret_id)
    if value is None:
        raise UsageError(f"the secret {secret_id} of {instance} has not been made yet", fix="ez-homelab apply")
    return value


def rotated(lab: Homelab, instance: str, secret_id: str | None = None) -> Homelab:
    """The lab as if one of an app's secrets, or each that can be, had a new value; nothing is written yet.

    Raises `UsageError` where a secret cannot be rotated.
    """
    from ez_homelab.render.secrets import needs

    wanted = _rotatable(lab, instance, _secret_ids(lab, instance, secret_id))
    by_name = {(need.instance, need.id): need for need in needs(lab.instances)}
    store = lab.store
    for name in wanted:
        store = store.rotated(instance, name, by_name[instance, name])
    other = replace(lab, why=f"new secrets for {instance}: {', '.join(wanted)}")
    other.__dict__["store"] = store
    return other


def _rotatable(lab: Homelab, instance: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
    app = next(item.app for item in lab.lab.instances if item.name == instance)
    rotations = {secret.id: secret.rotate for secret in lab.catalog.app(app).manifest.secrets}
    can = tuple(name for name in wanted if rotations[name].how != "never")
    if not can:
        raise UsageError(
            f"the secret {', '.join(wanted)} of {instance} cannot be rotated",
            cause=" ".join(rotations[name].reason or "" for name in wanted),
            fix="ez-homelab secrets list",
        )
    return can


def _secret_ids(lab: Homelab, instance: str, secret_id: str | None) -> tuple[str, ...]:
    app = next((item.app for item in lab.lab.instances if item.name == instance), None)
    if app is None:
        raise UsageError(f"there is no app called {instance} in the lab", fix=lab.did_you_mean(instance))
    secrets = {secret.id: secret for secret in lab.catalog.app(app).manifest.secrets}
    if not secrets or (secret_id and secret_id not in secrets):
        known = f"it has: {', '.join(secrets)}" if secrets else "it has none"
        raise UsageError(f"{instance} has no secret called {secret_id or 'anything'}", fix=known)
    return (secret_id,) if secret_id else tuple(secrets)
