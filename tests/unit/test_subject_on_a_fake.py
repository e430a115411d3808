"""What the doctor is told of a lab's sign-on, and of what sleeps in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ez_homelab.catalog.loader import Catalog
from ez_homelab.config.load import lab_from_text
from ez_homelab.subject import subject_of
from ez_homelab.testing.make_lab import desired_of

if TYPE_CHECKING:
    from engine_in_memory import LabOnFakeServer

    from ez_homelab.catalog.app import App

LAB = """\
version: 1
domain: lab.localhost
sign_on: {engine: builtin, lan: [192.168.1.0/24]}
stacks:
  all:
    apps:
      dokuwiki: {policy: bypass}
      prometheus: {}
      radicale: {}
      family-wiki: {app: dokuwiki}
      old-wiki: {app: dokuwiki, policy: deny}
"""


def test_sign_on_as_the_doctor_sees_it(there: LabOnFakeServer) -> None:
    there.write(LAB)
    (there.folder / "users.yaml").write_text(
        "version: 1\nusers: {anna: {groups: [admins]}, bob: {groups: [admins], disabled: true}, carl: {}}\n"
    )
    subject = there.lab.subject
    assert (subject.engine, subject.sign_on, subject.admins) == ("builtin", "gate", ("anna",))
    assert subject.lan == ("192.168.1.0/24",)
    assert subject.lan_routes == ("prometheus",)
    assert subject.certificate == there.lab.desired.servers["core"].certificate.path
    assert subject.open_routes.keys() == {"dokuwiki", "radicale"}
    assert subject.open_routes["dokuwiki"] == "homelab.yaml says so"
    assert "Radicale asks" in subject.open_routes["radicale"]
    assert subject.registrations.keys() == {"dokuwiki", "family-wiki"}
    assert "/install.php" in subject.registrations["family-wiki"]


SLEEPING = """\
version: 1
domain: lab.localhost
on_demand: {engine: ENGINE}
stacks:
  all:
    apps:
      family-wiki: {app: dokuwiki, lazy: {mode: stop, idle: 20m}}
      glances: {}
"""


@pytest.mark.parametrize(("engine", "cut_off"), [("builtin", {}), ("sablier", {"family-wiki": 1200.0})])
def test_what_falls_asleep_under_open_connections(engine: str, cut_off: dict[str, float]) -> None:
    """No app of the catalog that keeps connections open is suitable for sleep, so here they all keep them."""
    lab = lab_from_text(SLEEPING.replace("ENGINE", engine))

    def talking(name: str) -> App:
        app = Catalog.shipped().app(name)
        web = app.manifest.web and app.manifest.web.model_copy(update={"websockets": True})
        return replace(app, manifest=app.manifest.model_copy(update={"web": web}))

    assert subject_of(lab, desired_of(lab), talking).cut_off == cut_off


@pytest.mark.parametrize(
    ("engine", "wakers"),
    [("builtin", {"waker", "waker-control"}), ("sablier", {"sablier", "docker-control-proxy"})],
)
def test_what_wakes_what_sleeps(engine: str, wakers: set[str]) -> None:
    lab = lab_from_text(SLEEPING.replace("ENGINE", engine))
    subject = subject_of(lab, desired_of(lab), Catalog.shipped().app)
    assert subject.sleeping == ("family-wiki",)
    assert {*subject.wakers} == wakers
    assert subject.sablier is (engine == "sablier")
    assert wakers & subject.architectures.keys()
    awake = lab_from_text(SLEEPING.replace("ENGINE", engine).replace("mode: stop, idle: 20m", "mode: off"))
    subject = subject_of(awake, desired_of(awake), Catalog.shipped().app)
    assert (subject.sleeping, subject.wakers) == ((), {})
