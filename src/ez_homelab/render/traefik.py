"""Traefik's own configuration: the install file it reads at its start, and the files it watches.

Keys as of Traefik 3.7 (https://doc.traefik.io/traefik/v3.7/). What each router and service is comes from the Routes:
by Docker labels, because everything that runs today is a container on an edge network of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.render.text import yaml_file
from ez_homelab.sso.engine import IDENTITY_HEADERS, PORTAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ez_homelab.route import Route

DYNAMIC_FOLDER = "/etc/traefik/dynamic"

NUDGE_FILE = "nudge.yml"
"""Touched whenever a route of an app that sleeps has changed: Traefik reads folders below the one that it watches, and
does not watch them (measured on 3.7.15)."""

SOCKET_PROXY_NETWORK = "socket-proxy"
SHARED_NETWORKS = ("traefik-network", "homelab-network", "media-network")

# Mozilla's "intermediate" list without the CBC suites; TLS 1.3 suites are not configurable in Go.
CIPHER_SUITES = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
)


def install_file(entrypoint: Mapping[str, object]) -> bytes:
    """traefik.yml: entrypoints, providers, API. Its change needs a new container.

    `entrypoint` is what the engine of sign-on wants of `websecure` (see `Engine.entrypoint`).
    """
    return yaml_file(
        {
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
            "log": {"level": "INFO"},
            "accessLog": {"format": "json", "filters": {"statusCodes": ["400-599"]}},
            "entryPoints": {
                "web": _web(),
                "websecure": _websecure(entrypoint),
                "traefik": {"address": "127.0.0.1:8080"},
            },
            "providers": {
                "providersThrottleDuration": "100ms",
                "docker": {
                    "endpoint": "tcp://docker-socket-proxy:2375",
                    "exposedByDefault": False,
                    "network": "traefik-network",
                    "allowEmptyServices": True,
                },
                "file": {"directory": DYNAMIC_FOLDER, "watch": True},
            },
            # Both answer on 127.0.0.1 inside Traefik's own network namespace only: no app and no browser reaches them.
            "api": {"insecure": True, "dashboard": False},
            "ping": {"entryPoint": "traefik"},
            # What has been answered for each app: by that the waker knows which are in use.
            "metrics": {"prometheus": {"entryPoint": "traefik", "addServicesLabels": True}},
        },
        "Traefik's install file",
    )


def _web() -> dict[str, object]:
    redirection = {"entryPoint": {"to": "websecure", "scheme": "https", "permanent": True}}
    return {"address": ":80", "http": {"redirections": redirection}}


def _websecure(more: Mapping[str, object]) -> dict[str, object]:
    return {
        "address": ":443",
        "asDefault": True,
        # Traefik's default of a minute cuts large uploads on slow lines.
        "transport": {"respondingTimeouts": {"readTimeout": "10m"}},
        "http": {
            "tls": {},
            # In this order: the engine itself must not see a forged identity either.
            "middlewares": ["security-headers@file", "no-forged-identity@file", "sign-on@file"],
            # Remote_User and Remote.User read as Remote-User in many apps (facts measured on 3.7.15).
            "aliasHeadersStrategy": "delete",
            **more,
        },
    }


def middlewares_file(forward_auth: Mapping[str, object]) -> bytes:
    """What every request through `websecure` passes, and how TLS is spoken.

    `forward_auth` is the middleware that asks the engine of sign-on. Where the engine does not answer, Traefik answers
    500 itself; where this file is missing, no router works: both are closed.
    """
    return yaml_file(
        {
            "http": {
                "middlewares": {
                    "security-headers": {"headers": _security_headers()},
                    # Nobody outside may say who signed in (see aliasHeadersStrategy for the other spellings), so
                    # this is taken off every request before the engine or any router sees it.
                    "no-forged-identity": {
                        "headers": {"customRequestHeaders": dict.fromkeys(IDENTITY_HEADERS, "")},
                    },
                    "sign-on": forward_auth,
                }
            },
            "tls": {"options": {"default": {"minVersion": "VersionTLS12", "cipherSuites": [*CIPHER_SUITES]}}},
        },
        "what every request passes, and how TLS is spoken",
    )


def routes_of_sleepers() -> dict[str, bytes]:
    """The folder over which the routes of apps that sleep are mounted, and the file that makes Traefik read them.

    Their content never changes: a file that is mounted by itself stays the old one where it is replaced.
    """
    about = "The routes of apps that sleep are mounted here. The waker writes them; they are in no plan.\n"
    nudge = "# Touched when a route of an app that sleeps has changed.\n"
    return {"lazy/README.txt": about.encode(), NUDGE_FILE: nudge.encode()}


def _security_headers() -> dict[str, object]:
    # No HSTS: a browser would remember it for a name whose certificate only this lab's own authority signs.
    return {
        "contentTypeNosniff": True,
        "frameDeny": False,
        "customFrameOptionsValue": "SAMEORIGIN",
        "referrerPolicy": "strict-origin-when-cross-origin",
        "customResponseHeaders": {"Server": "", "X-Powered-By": ""},
    }


def labels(route: Route) -> dict[str, str]:
    """The Docker labels by which a container advertises its route: enable, rule, port and network, never policy.

    Requests to the portal are in no access log: one-time links are addresses, and whoever reads the log of a request
    that failed could use the link. Who signed in and who did not stands in the engine's own log.
    """
    router = f"traefik.http.routers.{route.name}"
    service = f"traefik.http.services.{route.name}.loadbalancer.server"
    told = {
        "traefik.enable": "true",
        "traefik.docker.network": route.edge_network,
        f"{router}.rule": route.rule,
        f"{service}.port": str(route.target.port),
    }
    if route.target.scheme != "http":
        told[f"{service}.scheme"] = route.target.scheme
    if route.host.startswith(f"{PORTAL}."):
        told[f"{router}.observability.accesslogs"] = "false"
    return told
