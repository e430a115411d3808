"""What Authelia is told: its rules from the Routes, its people from the lab's, clients of OpenID Connect, no secret."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ez_homelab.config.load import lab_from_text
from ez_homelab.config.people import Person
from ez_homelab.errors import FaultyFileError
from ez_homelab.render.traefik import install_file
from ez_homelab.route import BypassPath, ContainerTarget, Expectation, Route, SignOn
from ez_homelab.secrets.value import Secret
from ez_homelab.sso import ENGINES
from ez_homelab.sso.authelia.clients import secret_hash
from ez_homelab.sso.authelia.configuration import configuration
from ez_homelab.sso.authelia.people import NO_PASSWORD, merge_users
from ez_homelab.sso.authelia.rules import pattern
from ez_homelab.sso.engine import Client
from ez_homelab.testing.make_lab import make_lab

LAB = make_lab(apps=0)
SCHEMAS = Path(__file__).parents[4] / "shared/schemas/authelia-4.39"
HASH = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$bm90IGEgcmVhbCBoYXNoIGJ1dCBsb25nIGVub3VnaCE"
ANNA = Person("Anna Smith", "anna@example.org", ("admins", "family"))


def route(name: str = "wiki", **sign_on: Any) -> Route:
    return Route(name, name.title(), f"{name}.lab.localhost", "core", "x", ContainerTarget(name, 80), Expectation(),
                 SignOn(**sign_on))  # fmt: skip


def told(*routes: Route, clients: tuple[Client, ...] = ()) -> Any:
    return yaml.safe_load(configuration(LAB, routes, clients))


def rules(**sign_on: Any) -> list[dict[str, Any]]:
    """The rules of one route; the portal's and that of all other names stand around them."""
    [portal, *own, last] = told(route(**sign_on))["access_control"]["rules"]
    assert portal == {"domain": "auth.lab.localhost", "policy": "bypass"}
    assert last == {"domain": ["lab.localhost", "*.lab.localhost"], "policy": "one_factor"}
    assert {rule.pop("domain") for rule in own} == {"wiki.lab.localhost"}
    return own


def client(secret: str = "a" * 32, **sign_on: Any) -> Client:
    return Client(route(**sign_on), ("https://{host}/callback",), ("openid", "profile"), Secret(secret))


@pytest.mark.parametrize(
    ("sign_on", "expected"),
    [
        ({}, [{"policy": "one_factor"}]),
        ({"policy": "two_factor"}, [{"policy": "two_factor"}]),
        ({"policy": "bypass"}, [{"policy": "bypass"}]),
        ({"policy": "deny"}, [{"policy": "deny"}]),
        ({"policy": "deny", "access": "lan"}, [{"policy": "deny"}]),
        ({"policy": "bypass", "access": "lan"}, [{"networks": ["lan"], "policy": "bypass"}, {"policy": "deny"}]),
        ({"access": "lan"}, [{"networks": ["lan"], "policy": "one_factor"}, {"policy": "deny"}]),
        (
            {"groups": ("admins", "family")},
            [{"subject": [["group:admins"], ["group:family"]], "policy": "one_factor"}, {"policy": "deny"}],
        ),
        (
            {
                "policy": "two_factor",
                "groups": ("admins",),
                "access": "lan",
                "bypass": (BypassPath("/-/healthy", "x"),),
            },
            [
                {"networks": ["lan"], "resources": [r"^/-/healthy(\?.*)?$"], "policy": "bypass"},
                {"networks": ["lan"], "subject": [["group:admins"]], "policy": "two_factor"},
                {"policy": "deny"},
            ],
        ),
    ],
)
def test_the_rules_of_a_route(sign_on: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    assert rules(**sign_on) == expected


def test_routes_are_ordered_by_name_and_the_portal_stands_once() -> None:
    control = told(route("b"), route("auth", policy="bypass"), route("a"))["access_control"]
    assert control["default_policy"] == "deny"
    assert [rule["domain"] for rule in control["rules"][:-1]] == [
        "auth.lab.localhost", "a.lab.localhost", "b.lab.localhost",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "open_paths", "closed_paths"),
    [
        ("/health", ["/health", "/health?x=/1"], ["/health/", "/healthy", "/Health", "/x/health", "/health;x"]),
        (
            "/api/",
            ["/api/", "/api/v1/x", "/api/x?y=%2e"],
            ["/api", "/apix/", "/api;x/y", "/api/a b", "/api/a\\b", "/x/api/"],
        ),
        ("/a.b$(c)+/", ["/a.b$(c)+/d"], ["/axb$(c)+/", "/a.b$c/", "/a.b$(c)+/\n"]),
    ],
)
def test_a_bypass_path_fits_itself_and_nothing_else(path: str, open_paths: list[str], closed_paths: list[str]) -> None:
    # `$` of RE2 is the end of the text, as \Z here.
    expression = re.compile(pattern(path).removesuffix("$") + r"\Z")
    assert [value for value in open_paths if not expression.search(value)] == []
    assert [value for value in closed_paths if expression.search(value)] == []


def test_no_secret_is_in_the_configuration_and_what_it_needs_is() -> None:
    whole = told(route())
    assert whole["session"]["cookies"] == [{"domain": "lab.localhost", "authelia_url": "https://auth.lab.localhost/"}]
    assert whole["session"]["redis"] == {"host": "sessions", "port": 6379}
    assert whole["regulation"]["modes"] == ["ip"]
    assert whole["webauthn"]["enable_passkey_login"] is True
    assert whole["theme"] == "auto"
    assert "identity_providers" not in whole
    strategies = whole["server"]["endpoints"]["authz"]
    assert strategies == {
        "forward-auth": {"implementation": "ForwardAuth", "authn_strategies": [{"name": "CookieSession"}]}
    }
    assert not _named(whole, {"secret", "encryption_key", "jwt_secret", "hmac_secret", "password_hash"})


def _named(value: Any, names: set[str]) -> set[str]:
    if isinstance(value, dict):
        return (names & value.keys()) | {name for below in value.values() for name in _named(below, names)}
    return {name for item in value for name in _named(item, names)} if isinstance(value, list) else set()


def test_the_lab_s_networks_have_a_name() -> None:
    lab = lab_from_text("version: 1\ndomain: lab.localhost\nsign_on:\n  engine: authelia\n  lan: [10.1.0.0/16]\n")
    assert yaml.safe_load(configuration(lab, []))["definitions"] == {"network": {"lan": ["10.1.0.0/16"]}}


def test_clients_have_their_secret_as_a_hash_and_the_route_s_policy() -> None:
    oidc = told(clients=(client(), client(secret="b" * 32, policy="two_factor", groups=("admins",), access="lan")))
    first, second = oidc["identity_providers"]["oidc"]["clients"]
    assert first["redirect_uris"] == ["https://wiki.lab.localhost/callback"]
    assert (first["authorization_policy"], second["authorization_policy"]) == ("one_factor", "wiki")
    assert oidc["identity_providers"]["oidc"]["authorization_policies"]["wiki"] == {
        "default_policy": "deny",
        "rules": [{"policy": "two_factor", "subject": [["group:admins"]], "networks": ["lan"]}],
    }
    assert "a" * 32 not in str(oidc)
    assert "identity_providers" not in told(clients=(client(policy="deny"),))


def test_a_client_s_hash_is_that_of_its_secret_and_always_the_same() -> None:
    _, name, rounds, salt, key = secret_hash("wiki", Secret("s" * 32)).split("$")
    assert name == "pbkdf2-sha512"
    raw = base64.b64decode(salt + "==", altchars=b"./")
    assert hashlib.pbkdf2_hmac("sha512", b"s" * 32, raw, int(rounds)) == base64.b64decode(key + "==", altchars=b"./")
    assert secret_hash("wiki", Secret("s" * 32)).endswith(key)
    assert secret_hash("other", Secret("s" * 32)).split("$")[3] != salt


def users(existing: bytes | None, people: dict[str, Person], **hashes: str) -> Any:
    return yaml.safe_load(merge_users(existing, people, hashes))["users"]


def test_new_people_cannot_sign_in_before_they_have_a_password() -> None:
    assert users(None, {"anna": ANNA}) == {
        "anna": {
            "disabled": False, "displayname": "Anna Smith", "password": NO_PASSWORD, "email": "anna@example.org",
            "groups": ["admins", "family"],
        }
    }  # fmt: skip
    assert users(b"", {"anna": ANNA}, anna=HASH)["anna"]["password"] == HASH


def test_what_authelia_wrote_stays_and_what_the_lab_says_counts() -> None:
    written = merge_users(None, {"anna": Person("Old", "old@example.org", ("x",))}, {"anna": HASH})
    existing = written.replace(b"    groups:", b"    nickname: '0o7'\n    birthdate: '2000-01-01'\n    groups:")
    merged = users(existing, {"anna": ANNA})["anna"]
    assert merged["password"] == HASH
    assert (merged["nickname"], merged["birthdate"]) == ("0o7", "2000-01-01")
    assert (merged["displayname"], merged["groups"]) == ("Anna Smith", ["admins", "family"])
    assert b'nickname: "0o7"' in merge_users(existing, {"anna": ANNA}, {})


@pytest.mark.parametrize("people", [{}, {"anna": Person("Anna Smith", "anna@example.org", ("admins",), disabled=True)}])
def test_disabled_and_removed_people_stay_and_cannot_come_in(people: dict[str, Person]) -> None:
    existing = merge_users(None, {"anna": ANNA}, {"anna": HASH})
    assert users(existing, people)["anna"] == {
        "disabled": True, "displayname": "Anna Smith", "password": NO_PASSWORD, "email": "", "groups": [],
    }  # fmt: skip


def test_people_of_a_proof_go_with_it() -> None:
    proof = {"verify-0011aabb": Person("proof", groups=("admins",))}
    existing = merge_users(None, {"anna": ANNA, **proof}, {"verify-0011aabb": HASH})
    assert set(users(existing, {"anna": ANNA, **proof})) == {"anna", "verify-0011aabb"}
    assert set(users(existing, {"anna": ANNA})) == {"anna"}


def test_merging_twice_changes_nothing_more() -> None:
    once = merge_users(None, {"anna": ANNA, "ben": Person("Ben")}, {"anna": HASH})
    assert merge_users(once, {"anna": ANNA, "ben": Person("Ben")}, {}) == once


@pytest.mark.parametrize("existing", [b"users: [", b"users: []", b"users: {anna: x}", b"people: {}", b"\xff"])
def test_a_file_that_cannot_be_understood_is_refused(existing: bytes) -> None:
    with pytest.raises(FaultyFileError, match="cannot be read as it stands"):
        merge_users(existing, {"anna": ANNA}, {})


def test_how_traefik_asks_it() -> None:
    middleware: Any = ENGINES["authelia"].forward_auth()["forwardAuth"]
    assert middleware["address"] == "http://authelia:9091/api/authz/forward-auth"
    assert middleware["trustForwardHeader"] is False
    # Authelia gives no `Cookie` back; named here, Traefik would take every app its cookies.
    assert "Cookie" not in middleware["authResponseHeaders"]


def test_traefik_refuses_encoded_slashes_where_authelia_would_decode_them() -> None:
    entrypoints = {
        engine: yaml.safe_load(install_file(ENGINES[engine].entrypoint))["entryPoints"]["websecure"]["http"]
        for engine in ENGINES
    }
    assert entrypoints["authelia"].pop("encodedCharacters") == {"allowEncodedSlash": False}
    assert entrypoints["authelia"] == entrypoints["builtin"]


def test_the_engine_writes_what_it_says() -> None:
    engine = ENGINES["authelia"]
    files = engine.files(LAB, [route()], {"anna": ANNA})
    assert files.keys() == engine.writes
    assert files["authelia", "people/"]["users.yml"] == merge_users(None, {"anna": ANNA}, {})


@pytest.mark.skipif(not SCHEMAS.is_dir(), reason=f"{SCHEMAS} is not there")
def test_the_configuration_and_the_people_fit_authelia_s_own_schemas() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((SCHEMAS / "configuration.json").read_text())
    many = [
        route("a", policy="two_factor", groups=("x",), access="lan", bypass=(BypassPath("/api/", "y"),)),
        route("b"),
    ]
    jsonschema.validate(told(*many, clients=(client(), client(groups=("x",)))), schema)
    people = yaml.safe_load(merge_users(None, {"anna": ANNA, "ben": Person("Ben", disabled=True)}, {"anna": HASH}))
    jsonschema.validate(people, json.loads((SCHEMAS / "user-database.json").read_text()))
