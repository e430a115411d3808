"""One look at a server: recorded answers of a true engine, and servers that give none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from recorded_docker import recorded, recorded_server

from ez_homelab.errors import PrerequisiteError
from ez_homelab.hosts import FileState
from ez_homelab.observe import AppliedRecord, ObservedServer, ObservedVolume, Unknown, docker, look
from ez_homelab.observe.look import (
    APPLIED_RECORD,
    AUTHORITY_CERTIFICATE,
    LIST_STACK_FOLDERS,
    parse_routes,
    parse_unmarked,
)
from ez_homelab.observe.record import encode_applied, parse_applied
from ez_homelab.observe.states import container_state
from ez_homelab.render.desired import PublishedPort
from ez_homelab.testing.fake_host import FakeHost
from ez_homelab.testing.make_lab import NOW, desired_of, make_lab
from ez_homelab.tls.authority import create_authority
from ez_homelab.tls.certificate import CertificateFacts, CertificateSpec, issue
from ez_homelab.tls.served import served_file

if TYPE_CHECKING:
    from ez_homelab.observe import ObservedContainer

SERVER = desired_of(make_lab()).servers["core"]
CONTAINERS = {one.name: one for one in docker.parse_containers(recorded("container-inspect.json"))}
NETWORKS = {one.name: one for one in docker.parse_networks(recorded("network-inspect.json"))}


async def looked(host: FakeHost) -> ObservedServer:
    found = await look(host, SERVER, lambda: NOW)
    assert isinstance(found, ObservedServer)
    return found


STATES = {
    "healthy": ("running", "healthy"),
    "unhealthy": ("failed", "its health check fails"),
    "starting": ("starting", "its health check has not passed yet"),
    "hungry": ("running", "no health check"),
    "stopped": ("held", "stopped by a person"),
    "paused": ("held", "paused by a person"),
    "crashing": ("failed", "crashes at its start, exit status 1"),
    "created": ("failed", "created, exit status 0"),
}


@pytest.mark.parametrize("name", STATES)
def test_the_state_of_a_container_in_our_words(name: str) -> None:
    assert container_state(CONTAINERS[name], CONTAINERS[name].held) == STATES[name]


@pytest.mark.parametrize(
    ("name", "said"),
    [("cannot-start", '"no-such-program": executable file not found'), ("port-taken", "port is already")],
)
def test_why_a_container_did_not_start_is_evidence(name: str, said: str) -> None:
    state, evidence = container_state(CONTAINERS[name], CONTAINERS[name].held)
    assert state == "failed"
    assert said in evidence


def test_a_container_is_ours_by_its_label() -> None:
    assert CONTAINERS["healthy"].fingerprint == "0123456789abcdef"
    assert CONTAINERS["healthy"].project == "core"
    assert CONTAINERS["by-hand"].fingerprint is None
    assert CONTAINERS["by-hand"].project is None


def test_networks_of_a_container_by_id_as_far_as_it_ever_started() -> None:
    assert set(CONTAINERS["healthy"].networks) == {"edge-wiki", "socket-proxy"}
    assert CONTAINERS["healthy"].networks["edge-wiki"] == NETWORKS["edge-wiki"].id
    assert CONTAINERS["stopped"].networks["edge-gone"] not in {network.id for network in NETWORKS.values()}
    assert CONTAINERS["created"].networks == {"edge-wiki": ""}


def test_published_ports_as_they_were_asked_for() -> None:
    def published(container: ObservedContainer) -> list[str]:
        return [str(port) for port in container.published]

    assert published(CONTAINERS["healthy"]) == ["127.0.0.1:8081/tcp", "127.0.0.1:8082/udp"]
    assert published(CONTAINERS["by-hand"]) == ["0.0.0.0:8099/tcp"]
    assert published(CONTAINERS["on-host"]) == []
    assert PublishedPort("127.0.0.1", 8081) in CONTAINERS["healthy"].published


def test_networks_with_subnet_reach_and_whose_they_are() -> None:
    assert NETWORKS["socket-proxy"].subnets == ("10.201.0.0/26",)
    assert NETWORKS["socket-proxy"].internal
    assert NETWORKS["socket-proxy"].managed
    assert not NETWORKS["edge-wiki"].internal
    assert not NETWORKS["by-hand"].managed
    assert NETWORKS["host"].subnets == ()


def test_images_by_reference() -> None:
    images = docker.parse_images(recorded("image-ls.txt") + "<none>:<none>\tsha256:0\nnot a row\n")
    assert set(images) == {"sleeper:1", "ez-homelab/traefik:1.0-abc", "registry.example:5000/team/app:2"}
    assert images["sleeper:1"].startswith("sha256:")


ROWS = (
    "traefik:v3\tsha256:a\tsha256:aa\n"
    "registry.example:5000/team/app:2\tsha256:b\t<none>\n"
    "registry.example:5000/team/app:<none>\tsha256:c\tsha256:cc\n"
    "<none>:<none>\tsha256:d\t<none>\n"
    "<none>:<none>\tsha256:e\tsha256:ee\n"
)


def test_images_by_digest() -> None:
    assert set(docker.parse_images(ROWS)) == {"traefik:v3", "registry.example:5000/team/app:2"}
    assert docker.parse_digests(ROWS) == {
        "traefik@sha256:aa": "sha256:a", "registry.example:5000/team/app@sha256:cc": "sha256:c",
    }  # fmt: skip
    assert docker.parse_digests(recorded("image-ls.txt")) == {}


@pytest.mark.parametrize(
    ("reference", "image_id"),
    [
        ("traefik:v3", "sha256:a"),
        ("docker.io/library/traefik:v3", "sha256:a"),
        ("docker.io/library/traefik:v3@sha256:aa", "sha256:a"),
        ("traefik:of-another-tag@sha256:aa", "sha256:a"),
        ("traefik:v3@sha256:bb", None),
        ("registry.example:5000/team/app:2", "sha256:b"),
        ("registry.example:5000/team/app:3@sha256:cc", "sha256:c"),
        ("registry.example:5000/team/app@sha256:cc", "sha256:c"),
    ],
)
async def test_the_image_that_a_reference_names(reference: str, image_id: str | None) -> None:
    host = recorded_server()
    host.answer(docker.LIST_IMAGES.argv, stdout=ROWS)
    found = await looked(host)
    assert (found.image_id(reference), found.has_image(reference)) == (image_id, image_id is not None)


def test_folders_of_stacks_without_our_marker() -> None:
    rows = ["d core", "d core/config", "f core/.ez-homelab", "d by hand", "d by hand/data", "d .git", "d lost+found"]
    assert parse_unmarked("\0".join([*rows, ""])) == ("by hand",)
    assert parse_unmarked("") == ()


async def test_a_look_tells_of_folders_that_are_not_ours() -> None:
    host = recorded_server()
    host.answer(LIST_STACK_FOLDERS.argv, stdout="d wiki\0d by-hand\0f wiki/.ez-homelab\0")
    assert (await looked(host)).unmarked == ("by-hand",)


def test_routes_that_lie_in_the_way_of_a_new_subnet() -> None:
    routes = parse_routes(recorded("routes.txt"))
    assert {"10.99.0.0/16", "10.201.7.0/24", "10.201.9.9", "10.130.0.0/24"} <= set(routes)
    assert not [route for route in routes if route.startswith("10.111.4.1 ") or not route]
    assert parse_routes("default dev ppp0 scope link\n\n") == ()


async def test_one_look_holds_it_all() -> None:
    found = await looked(recorded_server())
    assert set(found.images) == {"sleeper:1", "ez-homelab/traefik:1.0-abc", "registry.example:5000/team/app:2"}
    assert [container.name for container in found.containers] == sorted(CONTAINERS)
    assert {network.name for network in found.networks} == set(NETWORKS)
    assert ObservedVolume("wiki-storage", "1000:1000", managed=True) in found.volumes
    assert [volume.managed for volume in found.volumes] == [False, True]
    assert set(found.files) == {file.path for file in SERVER.files}
    assert found.certificate.served is None
    assert found.certificate.authority is None
    assert found.applied.files == {}
    assert found.at == NOW


async def test_a_look_changes_nothing() -> None:
    host = recorded_server()
    await looked(host)
    assert all(not command.changes for command in host.commands)
    assert not [line for line in host.operations if line.startswith(("write", "remove", "lock"))]


async def test_our_own_record_and_files_that_only_it_knows() -> None:
    record = {"files": {"/opt/stacks/old/compose.yaml": ["00", "01"]}}
    host = recorded_server({APPLIED_RECORD: json.dumps(record).encode(), "/opt/stacks/old/compose.yaml": b"old"})
    found = await looked(host)
    assert found.applied.files == {"/opt/stacks/old/compose.yaml": ("00", "01")}
    assert found.files["/opt/stacks/old/compose.yaml"] == FileState.of(b"old")


def test_the_record_with_images_and_kept_texts_and_an_older_one_without() -> None:
    images, kept, definitions = {"wiki": "dokuwiki:1"}, {"/a": "02"}, {"wiki": "03"}
    record = AppliedRecord({"/a": ("00", "01")}, "/opt/homelab", images, kept, definitions)
    assert parse_applied(encode_applied(record)) == record
    assert parse_applied(b'{"files": {"/a": ["00"]}, "lab": "/l"}') == AppliedRecord({"/a": ("00",)}, "/l")


def test_a_text_that_is_kept_and_given_up_again() -> None:
    record = AppliedRecord({"/a": ("00",)}, kept={"/b": "03"})
    kept = record.keeping("/a", "02", "01")
    assert (kept.files["/a"], kept.kept) == (("00", "01"), {"/a": "02", "/b": "03"})
    assert kept.keeping("/a", "02", "01") == kept
    assert kept.not_keeping("/a").kept == {"/b": "03"}
    assert record.keeping("/gone", "02", None).files["/gone"] == ()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"files": 3}', b'{"files": {"a": 1}}', b'{"kept": 1}', b'{"images": ["a"]}', b"\xff", None],
)
def test_a_damaged_record_is_none_so_that_nothing_of_a_person_is_lost(content: bytes | None) -> None:
    assert parse_applied(content).files == {}


async def test_the_certificate_and_its_authority() -> None:
    authority = create_authority("lab.localhost", NOW)
    issued = issue(authority, CertificateSpec(SERVER.certificate.names), NOW)
    files = {SERVER.certificate.path: served_file(issued), AUTHORITY_CERTIFICATE: authority.certificate_pem}
    found = await looked(recorded_server({**files, "/opt/stacks/core/.ez-homelab": b""}))
    assert found.certificate.authority == authority.facts
    assert isinstance(found.certificate.served, CertificateFacts)
    assert found.certificate.served.names == SERVER.certificate.names


async def test_a_stack_folder_with_files_and_without_our_marker_is_somebody_elses() -> None:
    files = {"/opt/stacks/wiki/compose.yaml": b"services: {}", "/opt/stacks/core/.ez-homelab": b""}
    assert (await looked(recorded_server(files))).foreign_stacks == ("wiki",)


async def test_a_server_that_cannot_be_reached_is_unknown_and_not_empty() -> None:
    host = recorded_server()
    host.unreachable = "no route to host"
    found = await look(host, SERVER, lambda: NOW)
    assert found == Unknown("core", "core could not be reached", NOW)


async def refused(host: FakeHost) -> PrerequisiteError:
    with pytest.raises(PrerequisiteError) as error:
        await look(host, SERVER)
    return error.value


async def test_no_docker() -> None:
    error = await refused(FakeHost("core"))
    assert (error.what, error.fix) == ("Docker is not installed on core", "ez-homelab up")
    assert error.evidence == "docker: command not found"


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "Docker is not running on core"),
        (
            "Got permission denied while trying to connect to the Docker daemon socket: permission denied",
            "Docker on core does not answer this user",
        ),
    ],
)
async def test_a_docker_that_does_not_answer(said: str, what: str) -> None:
    host = FakeHost("core")
    host.answer(lambda command: command.argv[0] == "docker", status=1, stderr=said)
    error = await refused(host)
    assert (error.what, error.evidence) == (what, said)


async def test_an_engine_that_stops_in_between_is_not_an_empty_one() -> None:
    host = recorded_server()
    question = docker.inspect_containers(recorded("container-ls.txt").split())

    def stops(command: object) -> object:
        host.answer(docker.LIST_CONTAINERS.argv, status=1, stderr="Cannot connect to the Docker daemon")
        return docker_answer(question, 1, "[]\n")

    host.answer(question.argv, does=stops)  # type: ignore[arg-type]
    assert (await refused(host)).what == "Docker is not running on core"


async def test_a_container_that_goes_in_between_is_no_error() -> None:
    host = recorded_server()
    question = docker.inspect_containers(recorded("container-ls.txt").split())
    rest = json.dumps(json.loads(recorded("container-inspect.json"))[1:])
    host.answer(question.argv, status=1, stdout=rest, stderr="Error: No such container: hungry")
    assert len((await looked(host)).containers) == len(CONTAINERS) - 1


def docker_answer(command: object, status: int, stdout: str) -> object:
    from ez_homelab.hosts.protocol import Completed

    return Completed(command, status, stdout, "")  # type: ignore[arg-type]
