"""The parts of service.yaml that say how an app is reached, and by whom."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ez_homelab.catalog.base import AppId, Bytes, FilePath, Hostname, Model, Port, Seconds, Text, Unknown, UrlPath

SharedNetwork = Literal["traefik-network", "homelab-network", "media-network"]


class ExtraRoute(Model):
    """A further public name or port of the same app."""

    subdomain: Hostname
    port: Port
    service: AppId | None = None
    path: UrlPath = "/"


class Web(Model):
    """What answers browsers. `port` is the container's; the server's own where `target` is `host`.

    `subdomain` None: the name the app has in the lab. `max_body` is in bytes, 0 without a limit.
    """

    service: AppId
    port: Port
    target: Literal["container", "host"] = "container"
    scheme: Literal["http", "https", "h2c"] = "http"
    path: UrlPath = "/"
    subdomain: Hostname | None = None
    exposure: Literal["public", "lan", "none"] = "public"
    max_body: Bytes = 0
    websockets: bool = False
    extra_routes: tuple[ExtraRoute, ...] = ()


class Bypass(Model):
    """A path that is answered without sign-on, why, and what guards it instead."""

    path: UrlPath
    reason: Text
    protected_by: Text | None = None


class OidcConfigure(Model):
    """How the app learns of its OpenID Connect client."""

    via: Literal["env", "file", "api"]


class Oidc(Model):
    """The app as an OpenID Connect client. `{host}` stands for its public name."""

    redirect_uris: Annotated[tuple[Text, ...], Field(min_length=1)]
    scopes: tuple[Text, ...] = ("openid", "profile", "email")
    configure: OidcConfigure


class Auth(Model):
    """Who asks for the password. `mode: none` needs a reason.

    `registration` is about accounts of the app's own, as it is set up here: `open` where whoever reaches it can make
    one for himself (then `registration_note` says how to close it), `closed` where an administrator makes them or they
    are written by its configuration, `none` where the app has no accounts.
    """

    mode: Literal["oidc", "ldap", "forward_auth", "app", "none"] = "forward_auth"
    policy: Literal["bypass", "one_factor", "two_factor", "deny"] = "one_factor"
    groups: tuple[AppId, ...] = ()
    native_clients: bool = False
    bypass: tuple[Bypass, ...] = ()
    oidc: Oidc | None = None
    disable_app_login: bool = False
    registration: Literal["open", "closed", "none"] | None = None
    registration_note: Text | None = None
    reason: Text | None = None


class Lazy(Model):
    """Whether and how the app may sleep while nobody uses it. Times in seconds.

    `suitable: false` needs a reason; `group` None: the app sleeps and wakes alone.
    """

    mode: Literal["off", "stop", "throttle"] = "off"
    idle_after: Seconds = 1800
    ready_timeout: Seconds = 90
    group: AppId | None = None
    suitable: bool | Unknown = "unknown"
    reason: Text | None = None


class Publish(Model):
    """A port of the server that the app needs for itself, and why a route through Traefik does not do.

    `container_port` is the one in the container, where that is another one.
    """

    port: Port
    container_port: Port | None = None
    protocol: Literal["tcp", "udp"] = "tcp"
    reason: Text


class Network(Model):
    """What the app may reach and who may reach it besides Traefik."""

    egress: Literal["direct", "vpn", "none"] = "direct"
    vpn_port_forward: bool = False
    publish: tuple[Publish, ...] = ()
    internal_only: tuple[AppId, ...] = ()
    join: tuple[SharedNetwork, ...] = ()


class Widget(Model):
    """Live figures on the dashboard's tile."""

    type: Text
    url: Literal["internal", "public"] = "internal"
    key_from: Text | None = None
    version: int | None = None


class Dashboard(Model):
    """The app's tile."""

    group: Text
    icon: Text | None = None
    order: int = 100
    widget: Widget | None = None


class Uptime(Model):
    """What an uptime monitor asks for, and how often (seconds)."""

    path: UrlPath
    interval: Seconds = 60


class Metrics(Model):
    """Where the app answers Prometheus. `service` None: the app's only container, or the one that `web` names."""

    port: Port
    path: UrlPath = "/metrics"
    service: AppId | None = None


class TextFiles(Model):
    """Figures for Prometheus from an app that no network leads to: it writes them into one of its volumes.

    They are `*.prom` files (Prometheus's text format), each written whole and renamed, and readable by everybody.
    """

    volume: AppId


class TextReader(Model):
    """An app that tells Prometheus what is in others' `textfiles`.

    Their volumes are mounted, read-only, into the container that stands for the app: each as a folder of its own below
    `folder`, called by its app. Where there is one, `argument` is added to the container's command.
    """

    folder: FilePath
    argument: Text


class Monitoring(Model):
    """What monitoring learns of the app."""

    uptime: Uptime | None = None
    metrics: Metrics | None = None
    textfiles: TextFiles | None = None
    reads_textfiles: TextReader | None = None
    logs: bool = True
    alerts: tuple[Text, ...] = ()
