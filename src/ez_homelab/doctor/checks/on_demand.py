"""Do apps that sleep wake, and stay awake while they are used?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ez_homelab.doctor.checks.sign_on import STATE, is_not_there
from ez_homelab.doctor.finding import CouldNotLook, Finding, Subject
from ez_homelab.prerequisites.survey import looking
from ez_homelab.waker_admin import ASK_WAKER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ez_homelab.hosts.protocol import Command, Completed

AGAIN_AND_AGAIN = 2
"""Failed starts in a row from which on it is no accident."""


class OnDemand:
    """The containers that wake what sleeps, what the waker tells of each app, and what Sablier cannot see."""

    name = "on-demand"
    about = "whether apps that sleep wake, and stay awake in use"

    def probes(self, subject: Subject) -> Mapping[str, Command]:
        """Docker's word on each container, and the waker's own; Sablier tells nobody, so there it is not asked."""
        asked = {name: looking("docker", "container", "inspect", "--format", STATE, name) for name in subject.wakers}
        return asked | ({"status": looking(*ASK_WAKER, "status")} if subject.wakers and not subject.sablier else {})

    def findings(self, subject: Subject, answers: Mapping[str, Completed]) -> tuple[Finding, ...]:
        """`waker-stopped`, `waker-unhealthy`, `wake-trouble`, `wake-fails`; `sleeps-in-use` and `sablier-limits`.

        Nothing of containers before the first apply.
        """
        told = (_cut_off(name, idle) for name, idle in subject.cut_off.items())
        limits = (_limits(subject),) if subject.wakers and subject.sablier else ()
        containers = [found for name in subject.wakers for found in _container(subject, name, answers[name])]
        # One that does not run tells nothing, and why it does not is told already.
        ask = "status" in answers and not containers and not any(is_not_there(answers[name]) for name in subject.wakers)
        return (*containers, *(_apps(answers["status"]) if ask else ()), *told, *limits)


def _container(subject: Subject, name: str, answer: Completed) -> Iterator[Finding]:
    if is_not_there(answer):
        return
    if not answer.ok:
        raise CouldNotLook(answer.last_line)
    state, _, health = answer.stdout.strip().partition(" ")
    log = f"ez-homelab logs {subject.wakers[name]}"
    if state != "running":
        yield _stopped(name, state, log)
    elif health == "unhealthy":
        yield _unhealthy(name, log)


def _apps(answer: Completed) -> Iterator[Finding]:
    try:
        told = json.loads(answer.stdout)
        if "error" in told:
            raise CouldNotLook(str(told["error"]), fix=str(told.get("fix", "")))
        apps: dict[str, dict[str, Any]] = dict(told["apps"])
        for name, app in apps.items():
            if app["trouble"]:
                yield _trouble(name, str(app["trouble"]))
            if app["failures"] >= AGAIN_AND_AGAIN:
                yield _fails(name, app)
    except (ValueError, KeyError, TypeError):
        raise CouldNotLook(answer.last_line) from None


def _stopped(name: str, state: str, log: str) -> Finding:
    return Finding(
        "waker-stopped",
        "warning",
        "apps that sleep do not wake",
        evidence=f"container {name}: {state}",
        cause="somebody stopped what wakes them, or it ended and could not be started again",
        fix=log if state == "restarting" else "ez-homelab apply --start-held",
    )


def _unhealthy(name: str, log: str) -> Finding:
    return Finding(
        "waker-unhealthy",
        "warning",
        "what wakes apps runs and does not answer as it should",
        evidence=f"container {name}: unhealthy",
        cause="its own log says why",
        fix=log,
    )


def _trouble(name: str, trouble: str) -> Finding:
    return Finding(
        "wake-trouble",
        "warning",
        f"{name} cannot be woken or put to sleep as it should be",
        evidence=trouble,
        cause="the waker cannot write the app's route, or Traefik does not follow it",
        fix="ez-homelab logs waker",
    )


def _fails(name: str, app: Mapping[str, Any]) -> Finding:
    return Finding(
        "wake-fails",
        "warning",
        f"{name} does not start when somebody opens it",
        evidence=f"{app['failures']} starts in a row have failed: {app['reason'] or 'the last one is under way'}",
        cause="the app itself reports why in its log",
        fix=f"ez-homelab wake {name}, which shows its last lines",
    )


def _cut_off(name: str, idle: float) -> Finding:
    return Finding(
        "sleeps-in-use",
        "warning",
        f"{name} falls asleep while somebody has it open",
        evidence=f"it keeps connections open, and sleeps {idle / 60:.0f} minutes after the last request",
        cause="Sablier counts requests that come, and no connection or download that goes on",
        fix=f"a longer `idle` for {name}, `mode: off`, or `on_demand: {{engine: builtin}}` in homelab.yaml",
    )


def _limits(subject: Subject) -> Finding:
    return Finding(
        "sablier-limits",
        "note",
        "Sablier wakes the apps that sleep, and cannot see all that goes on",
        evidence=f"apps that sleep: {', '.join(subject.sleeping)}",
        cause="downloads and open connections are no use to it, and after a crash it knows of no app that was in use",
        fix="nothing, where only pages are read; otherwise `on_demand: {engine: builtin}` in homelab.yaml",
    )
