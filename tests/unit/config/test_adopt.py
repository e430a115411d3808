"""What a person wrote on a server becomes the lab's and renders to that; the rest is refused in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ez_homelab.config.adopt import adopt_compose, adopt_edits, compose_differences
from ez_homelab.config.adopted_files import NotAdoptedError
from ez_homelab.config.model import AppInstance, Stack
from ez_homelab.config.overrides import load_overrides
from ez_homelab.testing.make_lab import desired_of, make_lab

if TYPE_CHECKING:
    from pathlib import Path

LAB = make_lab(
    stacks=[
        Stack("wiki", apps=(AppInstance("notes", "dokuwiki"),)),
        Stack("tools", apps=(AppInstance("glances", "glances"),)),
    ]
)
ENVIRONMENT, VOLUMES, LABELS = "    environment:\n", "    volumes:\n", "    labels:\n"
COMPOSE = "/opt/stacks/wiki/compose.yaml"


def services_of(stack: str) -> dict[str, tuple[str, str]]:
    services = desired_of(LAB).servers["core"].services
    return {service.name: (service.app, service.alias) for service in services if service.stack == stack}


def rendered(overrides: dict[str, dict[str, object]] | None = None) -> str:
    files = desired_of(LAB, overrides=overrides).servers["core"].files
    return next(file.content.decode() for file in files if file.path == COMPOSE)


def changed(before: str, after: str, text: str = "") -> str:
    """The lab's text as somebody with an editor changes it."""
    text = text or rendered()
    assert before in text, text
    return text.replace(before, after, 1)


def with_key(lines: str, text: str = "") -> str:
    """The text with these lines more in the service, indented as its keys are."""
    indented = "".join(f"    {line}\n" for line in lines.splitlines())
    return changed("    container_name: notes\n", f"    container_name: notes\n{indented}", text)


def adopted(edited: str, folder: Path) -> dict[str, dict[str, object]]:
    """The overrides after the text was adopted, as the lab reads them from its folder."""
    before = load_overrides(folder, ["notes", "glances"], {"notes": ["dokuwiki"], "glances": ["glances"]})
    for edit in adopt_edits(folder, adopt_compose(rendered(before), edited, services_of("wiki"), COMPOSE)):  # type: ignore[arg-type]
        edit.write()
    return load_overrides(folder, ["notes", "glances"], {"notes": ["dokuwiki"], "glances": ["glances"]})  # type: ignore[return-value]


TAKEN = {
    "a key more": with_key("stdin_open: true"),
    "a variable more": changed(ENVIRONMENT, f"{ENVIRONMENT}      COLOUR: blue\n"),
    "numbers and words that YAML would change": changed(
        ENVIRONMENT, f"{ENVIRONMENT}      VERSION: 1.10\n      ANSWER: yes\n      EMPTY: ''\n      ON: true\n"
    ),
    "another limit": changed("mem_limit: ", "mem_limit: 1g # was "),
    "a folder of the server": changed(
        VOLUMES,
        f"{VOLUMES}    - /mnt/media/pictures:/pictures:ro\n    - type: bind\n      source: /mnt/a\n      target: /b\n",
    ),
    "a volume more": changed(
        VOLUMES, f"{VOLUMES}    - type: volume\n      source: notes-extra\n      target: /extra\n"
    ).replace("\nvolumes:\n", "\nvolumes:\n  notes-extra:\n    external: true\n"),
    "a label more": changed(LABELS, f"{LABELS}      homepage.weight: 10\n"),
    "another name of the machine": changed("hostname: notes", "hostname: paper"),
    "a command": with_key("command: [sh, -c, echo hello]"),
    "lists": with_key("dns: [192.0.2.1]\nextra_hosts:\n- nas:192.0.2.2"),
    "nested": changed("max-file: '3'", "max-file: '9'"),
    "order and comments alone": "# mine\n" + changed("    hostname: notes\n", "").replace(
        "    container_name: notes\n", "    hostname: notes  # moved\n    container_name: notes\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TAKEN)
def test_what_is_adopted_renders_to_what_was_written(case: str, tmp_path: Path) -> None:
    overrides = adopted(TAKEN[case], tmp_path)
    assert compose_differences(rendered(overrides), TAKEN[case]) == ()


def test_the_fragment_holds_the_difference_and_nothing_else() -> None:
    edited = with_key("tty: true", TAKEN["a variable more"])
    assert adopt_compose(rendered(), edited, services_of("wiki")) == {
        "notes": {"services": {"dokuwiki": {"tty": True, "environment": {"COLOUR": "blue"}}}}
    }
    assert adopt_compose(rendered(), TAKEN["order and comments alone"], services_of("wiki")) == {}


def test_names_are_those_of_an_override() -> None:
    edited = with_key("depends_on: [notes-store, another]", TAKEN["a volume more"])
    services = {**services_of("wiki"), "notes-store": ("notes", "store")}
    (fragment,) = (one["services"]["dokuwiki"] for one in adopt_compose(rendered(), edited, services).values())
    assert fragment["volumes"] == [{"type": "volume", "source": "extra", "target": "/extra"}]
    assert fragment["depends_on"] == {
        "store": {"condition": "service_started"}, "another": {"condition": "service_started"},
    }  # fmt: skip


def test_a_second_adoption_adds_to_the_first(tmp_path: Path) -> None:
    first = adopted(TAKEN["a folder of the server"], tmp_path)
    second = changed("/mnt/media/pictures", "/mnt/media/films", rendered(first))
    third = with_key("dns: [192.0.2.1]", changed(ENVIRONMENT, f"{ENVIRONMENT}      VERSION: 1.10\n", second))
    overrides = adopted(third, tmp_path)
    assert compose_differences(rendered(overrides), third) == ()
    fourth = changed("192.0.2.1", "192.0.2.1\n    - 192.0.2.9", rendered(overrides))
    assert compose_differences(rendered(adopted(fourth, tmp_path)), fourth) == ()


def test_the_edit_is_shown_before_it_is_written(tmp_path: Path) -> None:
    (edit,) = adopt_edits(tmp_path, {"notes": {"services": {"dokuwiki": {"tty": True}}}})
    assert not (tmp_path / "overrides").exists()
    assert edit.diff().splitlines()[-3:] == ["+services:", "+  dokuwiki:", "+    tty: true"]
    edit.write()
    assert (tmp_path / "overrides" / "notes.yaml").read_text() == edit.after


def test_an_override_with_mistakes_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "overrides").mkdir()
    (tmp_path / "overrides" / "notes.yaml").write_text("services: {dokuwiki: {ports: ['1:1']}}\n")
    with pytest.raises(NotAdoptedError, match=r"overrides/notes\.yaml"):
        adopt_edits(tmp_path, {"notes": {"services": {"dokuwiki": {"tty": True}}}})


# Each: the text, a piece of the line at which it is refused, a piece of the reason.
REFUSED = {
    "no YAML": (changed("hostname: notes", "hostname: [notes"), "", ""),
    "a port": (with_key("ports: ['8080:80']"), "ports: ['8080:80']", "only Traefik publishes ports"),
    "privileged": (with_key("privileged: true"), "privileged: true", "the whole machine"),
    "another image": (changed("image: ", "image: mine # "), "image: mine", "the catalog's to say"),
    "another name": (changed("container_name: notes", "container_name: paper"), "container_name: paper", "found again"),
    "a key that nobody knows": (with_key("colour: blue"), "colour: blue", "an override cannot set it"),
    "a network": (
        changed("    networks:\n", "    networks:\n      host-net: {}\n"), "    networks:", "networks follow",
    ),
    "a key gone": (changed("    hostname: notes\n", ""), "  notes:", "takes nothing away"),
    "a right more": (
        changed("cap_drop:\n    - ALL\n", "cap_drop:\n    - NET_RAW\n"), "    cap_drop:", "takes nothing away",
    ),
    "our label": (
        changed(LABELS, f"{LABELS}      traefik.http.routers.notes.middlewares: none\n"),
        "traefik.http.routers.notes.middlewares", "derived from the lab",
    ),
    "our fingerprint": (
        changed("ez-homelab.fingerprint: ", "ez-homelab.fingerprint: x"),
        "ez-homelab.fingerprint", "derived from the lab",
    ),
    "Docker's socket": (
        changed(VOLUMES, f"{VOLUMES}    - /mnt/a:/a\n    - /var/run/docker.sock:/docker.sock\n"),
        "docker.sock", "owns the machine",
    ),
    "a relative folder, the second of two that are new": (
        changed(VOLUMES, f"{VOLUMES}    - /mnt/a:/a\n    - ./data:/data\n"), "- ./data", "neither an absolute",
    ),
    "a variable of the environment file": (
        changed(ENVIRONMENT, f"{ENVIRONMENT}      SECRET: ${{NOTES_PASSWORD}}\n"), "SECRET:", "environment file",
    ),
    "a variable without a value": (
        changed(ENVIRONMENT, f"{ENVIRONMENT}      PASSED_ON:\n"), "PASSED_ON:", "has no value",
    ),
    "the volume of another app": (
        changed(VOLUMES, f"{VOLUMES}    - glances-data:/data\n"), "glances-data", "is not the app's",
    ),
    "a volume that Compose would make": (
        rendered().replace("\nvolumes:\n", "\nvolumes:\n  notes-extra:\n"), "notes-extra:", "outlive their stacks",
    ),
    "a service of its own": (
        changed("services:\n", "services:\n  shell:\n    image: busybox\n"), "  shell:", "no app of the lab",
    ),
    "a service gone": ("name: wiki\nservices: {}\n", "services:", "was taken out"),
    "another project": (changed("name: wiki", "name: paper"), "name: paper", "written by this program alone"),
    "something at the top": ("x-mine: 1\n" + rendered(), "x-mine", "written by this program alone"),
    "a list where a mapping was": (
        rendered().partition("\nvolumes:\n")[0] + "\nvolumes: []\n", "volumes: []", "outlive their stacks",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_override_can_say_is_refused_in_its_place(case: str) -> None:
    text, place, reason = REFUSED[case]
    with pytest.raises(NotAdoptedError) as raised:
        adopt_compose(rendered(), text, services_of("wiki"), COMPOSE)
    lines = text.splitlines()
    told = [(lines[fault.line - 1], fault.message) for fault in raised.value.faults]
    assert any(place in line and reason in message for line, message in told), told
    assert all(fault.file == COMPOSE for fault in raised.value.faults)


def test_what_this_program_writes_alone_is_refused() -> None:
    with pytest.raises(NotAdoptedError, match=r"compose\.yaml") as raised:
        adopt_compose(rendered(), changed("hostname: notes", "hostname: paper"), {})
    assert "written by this program alone" in raised.value.evidence


def test_all_reasons_are_told_at_once() -> None:
    with pytest.raises(NotAdoptedError) as raised:
        adopt_compose(rendered(), with_key("ports: ['1:1']\nprivileged: true"), services_of("wiki"))
    assert len(raised.value.faults) == 2


@pytest.mark.parametrize(
    ("first", "second", "differs"),
    [
        ("services: {a: {environment: {B: '1'}}}", "services: {a: {environment: [B=1]}}", ()),
        ("services: {a: {labels: {ez-homelab.fingerprint: x}}}", "services: {a: {labels: {}}}", ()),
        ("services: {a: {volumes: [/a:/b]}}",
         "services: {a: {volumes: [{type: bind, source: /a, target: /b, bind: {create_host_path: false}}]}}", ()),
        ("services: {a: {volumes: [/a:/b:ro]}}", "services: {a: {volumes: [/a:/b]}}", ("services.a.volumes",)),
        ("services: {a: {dns: [x, y]}}", "services: {a: {dns: [y, x]}}", ()),
        ("services: {a: {networks: [n]}}", "services: {a: {networks: {n: }}}", ()),
        ("services: {a: {command: [x, y]}}", "services: {a: {command: [y, x]}}", ("services.a.command",)),
        ("services: {a: {dns: [x]}}", "services: {a: {dns: [x, x]}}", ("services.a.dns",)),
        ("services: {a: {tty: true}}", "services: {b: {tty: true}}", ("services.a", "services.b")),
        ("name: a", "name: b", ("name",)),
    ],
)  # fmt: skip
def test_when_two_texts_mean_the_same(first: str, second: str, differs: tuple[str, ...]) -> None:
    assert compose_differences(first, second) == differs
