"""What can be told and done about a lab's secrets; the door to it is the class in this package."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ez_homelab.errors import UsageError

if TYPE_CHECKING:
    from ez_homelab.lab import Homelab
    from ez_homelab.lab.written import WrittenLab
    from ez_homelab.secrets.table import SecretRow
    from ez_homelab.secrets.value import Secret


MAX_GIVEN = 256
SMTP_PASSWORD = ("authelia", "smtp_password")


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
        app = next(item.app for item in lab.instances if item.name == instance)
        given = any(secret.given for secret in app.manifest.secrets if secret.id == secret_id)
        fix = f"ez-homelab secrets set {instance}/{secret_id}" if given else "ez-homelab apply"
        raise UsageError(f"the secret {secret_id} of {instance} is not there yet", fix=fix)
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


def given(lab: Homelab, instance: str, secret_id: str, value: Secret) -> Homelab:
    """The lab as if a secret had this value, which a person gives; nothing is written yet.

    Raises `UsageError` for a secret that is the lab's own to make, or that is none.
    """
    _secret_ids(lab, instance, secret_id)
    manifest = next(item.app.manifest for item in lab.instances if item.name == instance)
    if not next(secret for secret in manifest.secrets if secret.id == secret_id).given:
        raise UsageError(
            f"the secret {secret_id} of {instance} is made by the lab, and nobody gives it",
            fix=f"ez-homelab secrets rotate {instance} {secret_id}",
        )
    if not value.reveal() or not value.reveal().isprintable() or len(value.reveal()) > MAX_GIVEN:
        raise UsageError(f"the value is not one printable line of at most {MAX_GIVEN} characters")
    # The store first: what of it is needed and missing belongs to the same run.
    other = replace(lab, why=f"a secret was given: {instance}/{secret_id}")
    other.__dict__["store"] = lab.store.given(instance, secret_id, value)
    return other


def missing(lab: WrittenLab) -> tuple[str, ...]:
    """Sentences about secrets that people have yet to give, and without which something does not work."""
    smtp = lab.lab.sign_on.smtp
    if smtp is None or not smtp.username or not lab.has_secrets or lab.store.get(*SMTP_PASSWORD):
        return ()
    name = "/".join(SMTP_PASSWORD)
    return (f"Authelia signs in to the mail server without a password: ez-homelab secrets set {name}",)


def _rotatable(lab: Homelab, instance: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
    app = next(item.app for item in lab.instances if item.name == instance)
    rotations = {secret.id: secret.rotate for secret in app.manifest.secrets}
    given = {secret.id for secret in app.manifest.secrets if secret.given}
    can = tuple(name for name in wanted if rotations[name].how != "never" and name not in given)
    if not can:
        raise UsageError(
            f"the secret {', '.join(wanted)} of {instance} cannot be rotated",
            cause=" ".join(rotations[name].reason or "" for name in wanted),
            fix="ez-homelab secrets list",
        )
    return can


def _secret_ids(lab: Homelab, instance: str, secret_id: str | None) -> tuple[str, ...]:
    app = next((item.app for item in lab.instances if item.name == instance), None)
    if app is None:
        raise UsageError(f"there is no app called {instance} in the lab", fix=lab.did_you_mean(instance))
    secrets = {secret.id: secret for secret in app.manifest.secrets}
    if not secrets or (secret_id and secret_id not in secrets):
        known = f"it has: {', '.join(secrets)}" if secrets else "it has none"
        raise UsageError(f"{instance} has no secret called {secret_id or 'anything'}", fix=known)
    return (secret_id,) if secret_id else tuple(secrets)
