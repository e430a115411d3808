"""Apps that differ in kind, used as a person uses them: flows, messages, calendars, notebooks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from real_lab import CERTIFICATE, DOMAIN, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from real_lab import Completed, RealLab

APPS = ("node-red", "mosquitto", "radicale", "jupyterlab")
STACK = "house"
JSON = ("-H", "Content-Type: application/json")

FLOW = [
    {"id": "tab", "type": "tab", "label": "Kept"},
    {"id": "ask", "type": "http in", "z": "tab", "url": "/greet", "method": "get", "wires": [["say"]]},
    {
        "id": "say",
        "type": "function",
        "z": "tab",
        "func": "msg.payload = 'from a flow'; return msg;",
        "wires": [["end"]],
    },
    {"id": "end", "type": "http response", "z": "tab", "wires": []},
    {
        "id": "broker",
        "type": "mqtt-broker",
        "broker": "mosquitto",
        "port": "1883",
        "credentials": {"user": "homelab", "password": "kept-only-encrypted"},
    },
]

EVENT = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nBEGIN:VEVENT\r\nUID:bins\r\nDTSTAMP:20261122T000000Z\r\n"
    "DTSTART:20261124T070000Z\r\nSUMMARY:Bins\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)

# Runs in JupyterLab's own container, which has a client for web sockets, and goes out to Traefik and in again like a
# browser. One line on its standard input says where to, with which token and whom to trust.
CALCULATE = """
import json, socket, ssl, sys, uuid, websocket
given = json.loads(sys.stdin.readline())
host, headers = given["host"], {"Authorization": "token " + given["token"], "Cookie": given["cookie"]}
trust = ssl.create_default_context(cadata=given["authority"])
at = socket.create_connection(("traefik", 443), timeout=60)
line = websocket.create_connection(
    f"wss://{host}/api/kernels/{given['kernel']}/channels",
    socket=trust.wrap_socket(at, server_hostname=host), header=headers, origin=f"https://{host}", timeout=60,
)
header = {"msg_id": uuid.uuid4().hex, "username": "", "session": uuid.uuid4().hex, "msg_type": "execute_request",
          "version": "5.3", "date": "2026-11-22T00:00:00Z"}
content = {"code": "1 + 1", "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
line.send(json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}))
while True:
    answer = json.loads(line.recv())
    if answer["msg_type"] in ("execute_result", "error") and answer["parent_header"].get("msg_id") == header["msg_id"]:
        print(answer["content"].get("data", {}).get("text/plain", answer["content"]))
        break
"""


@pytest.fixture(scope="module")
def house(home: RealLab) -> Iterator[RealLab]:
    """The session's lab with these apps, added one by one; afterwards the lab is as it was."""
    before = home.text
    for app in APPS:
        if f"- {app}\n" not in f"{home.text}\n":
            home.ez("add", app, "--stack", STACK, "--yes")
    home.ez("apply", "--yes")
    yield home
    home.write(before)
    home.restore()


def secret(lab: RealLab, app: str, name: str) -> str:
    """The generated value as the container is given it; root alone can read it besides."""
    return lab.server.read(f"/opt/stacks/{STACK}/secrets/{app}/{name}").decode().strip()


def restart(lab: RealLab, app: str) -> None:
    """Restart the container and wait until it is well again."""
    lab.server.docker(["restart", app])
    health = ["inspect", "--format", "{{.State.Health.Status}}", app]
    wait_for(f"{app} is healthy", lambda: lab.server.docker(health).stdout.strip() == "healthy", seconds=90)


def asked(lab: RealLab, app: str, path: str, *options: str) -> str:
    """The page as soon as Traefik has noticed that the app is back."""
    url = f"https://{app}.{DOMAIN}{path}"
    wait_for(f"{url} answers", lambda: not lab.status_of(url, *options).startswith(("404", "50")))
    return lab.page(app, path, *options)


def in_container(lab: RealLab, app: str, *argv: str, given: str = "", options: tuple[str, ...] = ()) -> Completed:
    """Run that program in the app's container."""
    return lab.server.run(["docker", "exec", "-i", *options, app, *argv], check=False, input=given.encode())


def test_secrets_are_generated_and_not_alike(house: RealLab) -> None:
    values = [
        secret(house, "node-red", "credential_secret"),
        secret(house, "mosquitto", "password"),
        secret(house, "radicale", "password"),
        secret(house, "jupyterlab", "token"),
    ]
    assert [len(value) for value in values] == [48, 32, 24, 40]
    assert len(set(values)) == len(values)
    compose = house.server.read(f"/opt/stacks/{STACK}/compose.yaml").decode()
    assert not [value for value in values if value in compose]


def test_a_flow_survives_a_restart(house: RealLab) -> None:
    flows = f"https://node-red.{DOMAIN}/flows"
    assert house.status_of(flows, "-X", "POST", *JSON, "-d", json.dumps(FLOW)).startswith("204")
    assert asked(house, "node-red", "/greet") == "from a flow"
    restart(house, "node-red")
    assert asked(house, "node-red", "/greet") == "from a flow"

    # What the flow signs in with is kept, readable to Node-RED alone and with the lab's key.
    held = json.loads(house.page("node-red", "/credentials/mqtt-broker/broker"))
    assert held == {"user": "homelab", "has_password": True}
    stored = in_container(house, "node-red", "cat", "/data/flows_cred.json").stdout
    assert "$" in json.loads(stored)
    assert "kept-only-encrypted" not in stored
    assert "_credentialSecret" not in in_container(house, "node-red", "cat", "/data/.config.runtime.json").stdout


def test_messages_need_the_generated_password_and_survive_a_restart(house: RealLab) -> None:
    password = secret(house, "mosquitto", "password")
    send = ("mosquitto_pub", "-t", "house/bins", "-m", "out today", "-q", "1", "--retain")
    read = ("mosquitto_sub", "-t", "house/bins", "-C", "1", "-W", "5")
    # Without its options file the client knows no account.
    nobody = ("-e", "XDG_CONFIG_HOME=/none")
    for account in ((), ("-u", "homelab", "-P", "wrong"), ("-u", "somebody", "-P", password)):
        refused = in_container(house, "mosquitto", *send, *account, options=nobody)
        assert refused.returncode != 0
        assert "not authorised" in refused.stderr.lower()

    known = ("-u", "homelab", "-P", password)
    assert in_container(house, "mosquitto", *send, *known, options=nobody).returncode == 0
    restart(house, "mosquitto")
    assert in_container(house, "mosquitto", *read, *known, options=nobody).stdout == "out today\n"
    assert in_container(house, "mosquitto", "id", "-u").stdout == "1883\n"


def test_devices_reach_the_broker_on_the_servers_port_and_flows_by_its_name(house: RealLab) -> None:
    connected = house.server.run(["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/1883 && echo connected"], check=False)
    assert connected.stdout == "connected\n"
    script = "require('net').connect(1883, 'mosquitto', () => { console.log('connected'); process.exit(); })"
    assert in_container(house, "node-red", "node", "-e", script).stdout == "connected\n"


def test_a_calendar_and_its_event_survive_a_restart(house: RealLab) -> None:
    account = ("-u", f"homelab:{secret(house, 'radicale', 'password')}")
    calendar = f"https://radicale.{DOMAIN}/homelab/family/"
    house.curl(calendar, "-X", "DELETE", *account)
    assert house.status_of(calendar, "-X", "MKCALENDAR", *account).startswith("201")
    put = ("-X", "PUT", "-H", "Content-Type: text/calendar", "--data-binary", EVENT)
    assert house.status_of(f"{calendar}bins.ics", *put).startswith("401")
    assert house.status_of(f"{calendar}bins.ics", *put, "-H", "X-Remote-User: homelab").startswith("401")
    assert house.status_of(f"{calendar}bins.ics", *put, *account).startswith("201")

    restart(house, "radicale")
    assert "SUMMARY:Bins" in asked(house, "radicale", "/homelab/family/bins.ics", *account)
    listed = house.curl(calendar, "-X", "PROPFIND", "-H", "Depth: 1", *account).stdout
    assert "/homelab/family/bins.ics" in listed
    assert house.status_of(calendar, "-X", "PROPFIND", "-u", "homelab:wrong").startswith("401")


def test_a_notebook_server_calculates_for_who_has_the_token(house: RealLab) -> None:
    token = secret(house, "jupyterlab", "token")
    known = ("-H", f"Authorization: token {token}")
    kernels = f"https://jupyterlab.{DOMAIN}/api/kernels"
    assert house.status_of(kernels, "-X", "POST").startswith("403")
    assert house.status_of(f"https://jupyterlab.{DOMAIN}/lab").split()[1].endswith("/login?next=%2Flab")
    assert "<title>JupyterLab</title>" in house.page("jupyterlab", "/lab", *known)

    kernel = json.loads(house.curl(kernels, "-X", "POST", "--fail", *known).stdout)["id"]
    authority = house.server.read(CERTIFICATE).decode()
    given: dict[str, Any] = {"host": f"jupyterlab.{DOMAIN}", "token": token, "kernel": kernel}
    given |= {"authority": authority, "cookie": house.cookie}
    ran = in_container(house, "jupyterlab", "python3", "-c", CALCULATE, given=json.dumps(given) + "\n")
    assert ran.stdout == "2\n", ran.stderr
    house.curl(f"{kernels}/{kernel}", "-X", "DELETE", "--fail", *known)


def test_a_notebook_stays_when_its_container_goes(house: RealLab) -> None:
    known = ("-H", f"Authorization: token {secret(house, 'jupyterlab', 'token')}")
    note = {"type": "file", "format": "text", "content": "kept"}
    file = f"https://jupyterlab.{DOMAIN}/api/contents/kept.txt"
    house.curl(file, "-X", "PUT", "--fail", *JSON, "-d", json.dumps(note), *known)
    house.server.docker(["rm", "--force", "jupyterlab"])
    house.ez("apply", "--yes")
    assert json.loads(asked(house, "jupyterlab", "/api/contents/kept.txt", *known))["content"] == "kept"
