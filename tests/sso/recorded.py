"""What a real Authelia was asked and what it answered (records/*.yaml), and how to ask an engine the same.

A record: `name`; `method`, `proto`, `host`, `uri` as Traefik tells them (X-Forwarded-*), `without` those that it does
not tell; `home` for an address in the lab's network, or `address` itself; `accept` (null: none), `headers` and `cookie`
(`{session}` is the session's cookie pair) as the client sent them; `as` a user of lab.yaml with `factors`. `answer` is
what Authelia said: `status`, `portal` (the `rd` and `rm` that it leads to), the identity that apps are told. Where the
gate answers otherwise, `gate` has its answer, and `why` names one of `differences.yaml`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import yaml

if TYPE_CHECKING:
    from ez_homelab.testing.front.client import Answer

RECORDS = Path(__file__).parent / "records"
PATH = "/api/authz/forward-auth"
HOME, OUTSIDE = "127.0.1.77", "127.0.9.77"
TOLD = {"host": "one.lab.localhost", "uri": "/", "method": "GET", "proto": "https"}
HEADERS = {
    "address": "X-Forwarded-For",
    "host": "X-Forwarded-Host",
    "method": "X-Forwarded-Method",
    "proto": "X-Forwarded-Proto",
    "uri": "X-Forwarded-Uri",
}
IDENTITY = ("Remote-User", "Remote-Groups", "Remote-Email", "Remote-Name")


def load(name: str) -> Any:
    """One file of records."""
    return yaml.safe_load((RECORDS / name).read_text(encoding="utf-8"))


def request(record: dict[str, Any], port: int, session: str) -> bytes:
    """The request as Traefik 3.7 sends it; `session` is the cookie pair of whom the record is asked for, else ""."""
    told = TOLD | {"address": HOME if record.get("home") else OUTSIDE} | record
    accept = [("Accept", record.get("accept", "text/html"))] if record.get("accept", "") is not None else []
    pair, value = session, session.partition("=")[2]
    cookie = record.get("cookie", "{session}")
    for name, text in {
        "name": record["cookie_name"],
        "session": pair,
        "value": value,
        "short": pair[:-1],
        "upper": pair.upper(),
        "quoted": pair.replace("=", '="', 1) + '"',
    }.items():
        cookie = cookie.replace(f"{{{name}}}", text)
    own = [(name, str(text).replace("{value}", value)) for name, text in record.get("headers", [])]
    forwarded = [(HEADERS[key], told[key]) for key in HEADERS if key not in record.get("without", [])]
    headers = [*accept, *([("Cookie", cookie)] if cookie else []), *forwarded, ("X-Forwarded-Port", "443"), *own]
    return raw(port, headers)


def raw(port: int, headers: list[tuple[str, str]]) -> bytes:
    """One request to forward-auth with exactly these headers and `Host`; text stands for its UTF-8 bytes."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in [("Host", f"127.0.0.1:{port}"), *headers])
    return f"GET {PATH} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode()


def told(answer: Answer) -> dict[str, Any]:
    """An answer in the words of a record. A location anywhere but at the portal is an `AssertionError`."""
    found: dict[str, Any] = {"status": answer.status}
    if answer.location:
        parts = urlsplit(answer.location)
        query = parse_qs(parts.query, keep_blank_values=True, errors="surrogateescape")
        assert (parts.scheme, parts.netloc, parts.path) == ("https", "auth.lab.localhost", "/"), answer.location
        found["portal"] = {key: values[0] if len(values) == 1 else values for key, values in query.items()}
    identity = {name: text(answer.header(name)) for name in IDENTITY if answer.all(name)}
    return found | ({"identity": identity} if identity else {})


def text(value: str) -> str:
    """A header's bytes, which `http.client` reads as ISO-8859-1, as the UTF-8 that they are."""
    return value.encode("latin-1").decode("utf-8", "backslashreplace")
