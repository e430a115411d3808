"""What the doctor is told of a lab's sign-on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine_in_memory import LabOnFakeServer

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
