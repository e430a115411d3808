"""json.md: the document that each command prints with `--json`. A test compares it with what the commands print.

A key's path reads `apps[].name`: the `name` of each entry of the list `apps`. A path that ends in `.*` stands for keys
that are data.
"""

from __future__ import annotations

from ez_homelab.reference.tables import table
from ez_homelab.reference.user_documents import user_documents

PLAN = {
    "hash": "short name of exactly these actions; the same world and the same wish give the same one",
    "actions": "what would be done, in an order that respects `waits_for`",
    "actions[].id": "`server:kind:name`, unique in the plan; some with `:verb` at the end",
    "actions[].server": "the server it is done on",
    "actions[].kind": "what is changed: `image`, `network`, `volume`, `authority`, `certificate`, `secret`, `file`, "
    "`service`, `attachment` (of a container to a network), `on-demand` (what sleeps is left in peace while it is "
    "changed)",
    "actions[].name": "the image, path, `stack/container`, network or wake group",
    "actions[].verb": "what is done, such as `create`, `recreate`, `replace`, `remove`; `hold` and `release` of what "
    "sleeps",
    "actions[].cause": "why, in words",
    "actions[].waits_for": "ids of the actions that come first",
    "actions[].downtime": "for how many seconds its app will probably not answer",
    "actions[].worst_downtime": "the longest, where the new version does not get well and the stack goes back; 0: no "
    "update",
    "actions[].destructive": "whether something you may miss is gone afterwards",
    "actions[].settings": "choices the plan made for the one that carries it out",
    "actions[].settings.*": "such as `subnet` of a new network",
    "held": "containers that a person stopped; left alone",
    "held[].server": "its server",
    "held[].name": "`stack/container`",
    "held[].reason": "how it was stopped",
    "kept": "files that a person edited on the server and chose to keep; left alone",
    "kept[].server": "its server",
    "kept[].path": "where it lies",
    "kept[].reason": "why it stays",
    "unknown": "servers that could not be looked at; nothing is planned for them",
    "unknown[].server": "its name",
    "unknown[].reason": "why",
    "warnings": "sentences for whoever wrote the lab file",
}

PROOF = {
    "holds": "whether nothing failed",
    "checks": "every claim that was looked at",
    "checks[].subject": "the app, `lab`, or a server that could not be looked at",
    "checks[].claim": "what should hold",
    "checks[].state": "`passed`, `failed`, or `note`: not promised by the lab, worth knowing",
    "checks[].evidence": "what was seen",
}

_SERVER = {
    "name": "its name",
    "address": "its address in the fleet's network",
    "domain": "the name by which the fleet's servers find it",
    "running": "whether it is on",
    "ports": "ports of this machine's 127.0.0.1, and where in the server each leads",
    "ports.*": "the server's port",
}

_FLEET = {
    "name": "its name",
    "folder": "where it lies on this machine",
    "subnet": "its network",
    "owner": "the process that it goes with; null: it stays until `fleet down`",
    "servers": "its servers",
    **{f"servers[].{key}": meaning for key, meaning in _SERVER.items()},
}

ERROR = {
    "error": "what failed",
    "error.code": "stable; see [Errors](errors.md)",
    "error.what": "what failed, in one sentence",
    "error.evidence": "what was seen",
    "error.cause": "the likely cause",
    "error.fix": "one thing to do",
}

FAULTS = {
    "error.faults": "`lab-file` and `catalog` only: every mistake",
    "error.faults[].file": "the file",
    "error.faults[].line": "from 1; 0: the whole file",
    "error.faults[].column": "from 1",
    "error.faults[].message": "what is wrong",
    "error.faults[].suggestion": "what may have been meant; empty where nothing is near",
}

FAILED_ACTIONS = {
    "error.errors": "`apply-failed` and `on-demand` only: such an object, without `error.`, for each action that "
    "failed, or app that did not do as it was told",
    "error.done": "`on-demand` only: the apps that did, as in `apps` of the command's own document",
}


def _below(key: str, document: dict[str, str]) -> dict[str, str]:
    return {f"{key}.{name}": meaning for name, meaning in document.items()}


def _error(key: str, which: str) -> dict[str, str]:
    return {f"error.{key}": which} | {f"error.{key}.{name.removeprefix('error.')}": meaning
                                      for name, meaning in ERROR.items() if name != "error"}  # fmt: skip


WENT_BACK = {
    "error.stack": "`went-back` and `go-back-failed` only: the stack",
    "error.generation": "the generation that it was taken back to",
    "error.now_runs": "what its containers run now; one that is not there is not named",
    "error.now_runs.*": "the image",
    **_error("failure", "what failed first: why the new version did not get well"),
}
GO_BACK_FAILED = _error("problem", "`go-back-failed` only: why the version before could not be brought back")


_LISTED = {
    "apps[].id": "what `add` takes",
    "apps[].name": "its name",
    "apps[].tagline": "what it is",
    "apps[].category": "its category; `add` names a new stack after it",
    "apps[].version": "the version that is pulled",
    "apps[].package_edition": "whether it can be built from packages",
}
_CATALOG = {"apps": "the shipped apps and the lab's own", **_LISTED}

_SHOWN = {
    "id": "what `add` takes",
    "name": "its name",
    "tagline": "what it is",
    "category": "its category",
    "tags": "words that `search` finds it by",
    "status": "`stable`, `beta`, `deprecated` or `disabled`",
    "replaced_by": "the app to use instead, or null",
    "version": "the version that is pulled",
    "package_version": "the version that is built from packages; null: there is no package edition",
    "website": "upstream's",
    "licence": "an SPDX expression",
    "architectures": "what it runs on, in Docker's names; `unknown` where that could not be established",
    "subdomain": "its default name; empty where it has no page",
    "address": "what to open in a browser; empty without a page or without a lab",
    "sign_on": "who asks for the password: `oidc`, `ldap`, `forward_auth`, `app` or `none`",
    "registration": "whether people can make accounts for themselves in it: `open`, `closed` or `none`; null: not said",
    "registration_note": "how an open registration is closed, or null",
    "requires": "ids of apps that it cannot do without",
    "inputs": "what is asked when it is added",
    "inputs[].id": "its name",
    "inputs[].label": "the question",
    "inputs[].required": "whether it has to be answered",
    "secrets": "names of what is generated; never a value",
    "volumes": "what it keeps",
    "volumes[].name": "its name in the app",
    "volumes[].path": "where it is in the container",
    "volumes[].class": "`user_data`, `database`, `config`, `cache` or `media_shared`",
    "ports": "ports of the server that it takes",
    "ports[].port": "the port",
    "ports[].protocol": "`tcp` or `udp`",
    "ports[].reason": "why a route through Traefik does not do",
    "containers": "what runs",
    "containers[].name": "the service in its compose.yaml",
    "containers[].image": "the image that is pulled",
    "containers[].memory_reserve": "bytes kept free for it",
    "containers[].memory_limit": "bytes it never exceeds",
    "containers[].cpu_limit": "processors it never exceeds",
    "permissions": "rights beyond an ordinary container's",
    "permissions[].permission": "the right",
    "permissions[].what": "the path, capability, device or container it is about; null: the whole app",
    "permissions[].reason": "why",
    "notes": "what else is worth knowing",
    "sources": "where its facts come from",
    "sources[].facts": "which",
    "sources[].source": "where",
    "sources[].date": "the day they were read there",
    "folder": "its folder on this machine",
}

_APPLIED = {
    "applied": "the plan that was carried out; null: it was turned down",
    **_below("applied", PLAN),
    "proof": "the proof of what it touched; null: there was nothing to do",
    **_below("proof", PROOF),
}
_GENERATION = {
    "number": "its number, never used again on this server",
    "made": "when, UTC, ISO 8601",
    "who": "who ran the command",
    "command": "the command",
    "why": "what it was for, in words",
    "plan": "the hash of the plan that was carried out",
    "outcome": "`done`, `went-back` or `failed`: the worst of its stacks",
    "tree": "SHA-256 of the document that says what it is made of",
    "stacks": "what became of each stack",
    "stacks.*": "`done`, `went-back` or `failed`",
    "changed": "stacks that are otherwise than in the one before: `+wiki` is new, `-wiki` gone, `~wiki` changed",
    "running": "whether a stack runs now what this one made of it",
}
_HISTORY = {
    "generations": "without NUMBER: every kept one, newest first",
    **{f"generations[].{key}": meaning for key, meaning in _GENERATION.items()},
    "generation": "with NUMBER: that one",
    **_below("generation", _GENERATION),
    "servers": "with NUMBER: what it is made of, by server; never a content",
    "servers.*": "one server",
    "servers.*.stacks": "its stacks by name",
    "servers.*.stacks.*": "the stack's containers by name",
    "servers.*.stacks.*.*": "the image that the container runs",
    "servers.*.images": "what image references stood for, where that is known",
    "servers.*.images.*": "a digest, or an id of Docker's",
    "servers.*.files": "its files",
    "servers.*.files[].path": "where it lies",
    "servers.*.files[].mode": "its rights, as `chmod` takes them",
    "servers.*.files[].sha256": "SHA-256 of its content",
    "lab_files": "with NUMBER: the lab's own files",
    "lab_files[].path": "below the lab's folder",
    "lab_files[].sha256": "SHA-256 of its content",
}
_ROLLED_BACK = {
    "generation": "the number that was asked for; what comes of it is a new one",
    "edits": "changes of the lab's own files; empty with `--keep-lab-file`",
    "edits[].file": "the file",
    "edits[].diff": "its change, as a unified diff",
    **_APPLIED,
}
_DECIDED = {"choice": "what was chosen", "paths": "the files that it was chosen for"}
_MOVED = {
    "apps": "the apps that were named",
    "apps[].app": "its name in the lab",
    "apps[].group": "what woke or fell asleep with it",
    "apps[].server": "where it runs",
    "apps[].state": "`awake` or `asleep`",
    "apps[].seconds": "how long it took",
}
_EDIT = {"file": "the lab file", "diff": "its change, as a unified diff", **_APPLIED}

DOCUMENTS: dict[str, dict[str, str]] = {
    "init": {"folder": "the lab's folder", "files": "paths of what was written"},
    "trust": {
        "stores": "every store of authorities that was looked at",
        "stores[].store": "`system` or `chromium`",
        "stores[].place": "where it lies",
        "stores[].added": "entries that were put in; empty with `removed`: it was so already",
        "stores[].removed": "earlier authorities of this lab that were taken out",
    },
    "add": _EDIT,
    "remove": _EDIT,
    "plan": PLAN,
    "apply": _APPLIED,
    "rollback": _ROLLED_BACK,
    **user_documents(_APPLIED),
    "down": {"down": "stacks that were taken down", "purged": "instead of `down`, with `--purge`: what was removed"},
    "status": {
        "apps": "every app of the lab",
        "apps[].name": "its name in the lab",
        "apps[].server": "where it runs",
        "apps[].stack": "its stack",
        "apps[].state": "`running`, `starting`, `asleep` (wakes when somebody opens it), `held` (stopped by a person), "
        "`failed`, `missing`, `unknown` (the server could not be looked at)",
        "apps[].evidence": "what the state was read from",
        "apps[].address": "what to open in a browser; empty where it has no page",
        "apps[].on_demand": "how it sleeps, and what the waker tells of its group; null: it never sleeps",
        "apps[].on_demand.group": "what it sleeps and wakes with: its own name where it does so alone",
        "apps[].on_demand.memory": "bytes that it takes at rest while it is awake: measured, or else what it reserves",
        "apps[].on_demand.since": "for how many seconds the group has been as it is; null here and below: the waker "
        "does not answer, or another engine wakes it",
        "apps[].on_demand.scheduled": "whether these are hours in which it is kept awake",
        "apps[].on_demand.trouble": "what hinders its waker; empty: nothing",
        "apps[].on_demand.failures": "starts that have failed since the last that did not",
        "apps[].on_demand.wakes": "how often it woke, for a visitor, by its hours or by an order, and how fast",
        "apps[].on_demand.wakes.count": "how often, ever",
        "apps[].on_demand.wakes.p50": "seconds that half of the last hundred took at most; null: it never woke",
        "apps[].on_demand.wakes.p95": "seconds that 95 % of them took at most",
        "memory_saved": "bytes that the apps which sleep now would take",
    },
    "wake": _MOVED,
    "sleep": _MOVED,
    "verify": PROOF,
    "doctor": {
        "findings": "worst first; see [doctor](doctor.md)",
        "findings[].code": "stable",
        "findings[].severity": "`error`, `warning` or `note`",
        "findings[].what": "what is wrong, in one sentence",
        "findings[].evidence": "what was seen",
        "findings[].cause": "the likely cause",
        "findings[].fix": "one thing to do",
        "findings[].blocking": "whether `up` stops because of it",
    },
    "logs": {"app": "the app", "lines": "the last lines of its containers"},
    "check": {
        "valid": "true; a file with mistakes gives an error",
        "apps": "how many apps the lab has",
        "routes": "their addresses",
        "routes[].name": "the app",
        "routes[].address": "what to open in a browser",
        "warnings": "sentences for whoever wrote the lab file",
    },
    "drift": {
        "drift": "everything that is otherwise on the servers than the lab left it",
        "drift[].server": "the server",
        "drift[].kind": "what it is; see [drift](../concepts/drift.md)",
        "drift[].name": "the file, `stack/container`, container or stack",
        "drift[].evidence": "what was seen",
        "drift[].desired": "what the lab file says of it; empty: nothing",
        "drift[].applied": "what the last apply left; empty: nothing",
        "drift[].live": "what is on the server; empty: nothing",
        "drift[].path": "the file; empty for what is none",
        "drift[].fix": "one thing to do; empty where there is nothing to do",
        "drift[].accepted": "whether a person chose it so",
        "drift[].differs": "which of the three differs from which, in words",
        "drift[].diff": "with `--diff`, for a file: the lab's text against the server's; otherwise null",
    },
    "drift keep": _DECIDED,
    "drift overwrite": _DECIDED,
    "drift adopt": {**_DECIDED, "files": "the lab's own files that were written"},
    "history": _HISTORY,
    "images list": {
        "images": "every image of the lab",
        "images[].name": "`name:tag`",
        "images[].digest": "the digest of what it is; empty: it has none",
        "images[].id": "Docker's id of it; empty: it is not on the server",
        "images[].size": "bytes on the server",
        "images[].wanted": "whether the lab as it stands uses it",
        "images[].containers": "containers that were made from it",
        "images[].generations": "numbers of kept generations that use it",
        "images[].in_mirror": "whether the lab's own mirror has it; null: there is no mirror",
        "images[].moved": "whether the tag names another image on the server than images.lock does",
        "images[].used_by": "who needs it, in words; empty: nobody",
    },
    "images lock": {
        "changes": "what changed in images.lock",
        "changes[].name": "`name:tag`",
        "changes[].before": "the digest before; empty: it had none",
        "changes[].after": "the digest now; empty: it is not locked any longer",
    },
    "images prune": {
        "pruned": "what was removed",
        "pruned.images": "images of the server's Docker",
        "pruned.images[].name": "`name:tag`",
        "pruned.images[].id": "Docker's id of it",
        "pruned.images[].size": "bytes that it had",
        "pruned.manifests": "images of the lab's own mirror",
        "pruned.manifests[].name": "its name there",
        "pruned.manifests[].digest": "its digest",
    },
    "images build": {"built": "tags of the package editions that were built"},
    "images copy": {"copied": "the images' names in the other registry"},
    "secrets list": {
        "secrets": "every secret of the lab's apps, without its value",
        "secrets[].instance": "the app",
        "secrets[].id": "its name",
        "secrets[].made": "when it was made, UTC, ISO 8601",
        "secrets[].rotated": "when it last got a new value, or null",
        "secrets[].pending": "whether a new value is not yet in force everywhere",
        "secrets[].used_by": "the containers that are given it",
    },
    "secrets show": {"app": "the app", "id": "the secret's name", "value": "**the value in plain text**"},
    "secrets rotate": {
        "app": "the app",
        "id": "the secret that was asked for; null: every one of the app's",
        **_APPLIED,
    },
    "secrets set": {"app": "the app", "id": "the secret's name", **_APPLIED},
    "catalog": _CATALOG,
    "catalog list": _CATALOG,
    "catalog show": _SHOWN,
    "catalog search": {
        "apps": "the apps that every word fits, best first",
        **_LISTED,
        "suggestion": "what may have been meant where nothing fits; empty where nothing is near",
    },
    "catalog lint": {
        "apps": "names of the folders that were looked at",
        "findings": "in reading order",
        "findings[].app": "the app's folder",
        "findings[].code": "stable; see [lint rules](lint-rules.md)",
        "findings[].severity": "`error` or `warning`",
        "findings[].file": "the file",
        "findings[].line": "from 1; 0: the whole file",
        "findings[].column": "from 1",
        "findings[].message": "what is wrong",
        "findings[].suggestion": "what to write instead; empty where there is more than one way",
    },
    "fleet up": _FLEET,
    "fleet list": {
        "fleets": "every fleet on this machine",
        **{f"fleets[].{key}": text for key, text in _FLEET.items()},
    },
    "fleet down": {"down": "the fleet that is gone"},
    "bench": {
        "figures": "what was measured",
        "figures[].name": "what",
        "figures[].unit": "the unit of `value` and `budget`",
        "figures[].budget": "what it may be at most",
        "figures[].value": "what it was; null: not measured, `note` says why",
        "figures[].note": "how often, and the spread",
        "figures[].ratio": "`value` to `budget`; below 1 is within",
    },
}

_INTRODUCTION = """\
# What `--json` prints

One document on standard output and nothing else. `apps[].name` is the key `name` of each entry of the list `apps`;
`.*` stands for keys that are data. Keys may be added; those that are here stay.

With `--json` nobody is asked. A command that asks before it changes something, or before it prints a secret, needs
`--yes` with it; without, it is refused with exit status 2. `ez-homelab plan --json` says beforehand what would be
done."""


def json_page() -> str:
    """The keys of every document with their meaning."""
    lines = [_INTRODUCTION]
    for command, keys in DOCUMENTS.items():
        lines += ["", f"## `ez-homelab {command} --json`", "", *_table(keys)]
    lines += ["", "## An error", "", "Instead of the command's own document; the exit status is the error's.", ""]
    lines += _table(ERROR | FAULTS | FAILED_ACTIONS | WENT_BACK | GO_BACK_FAILED)
    return "\n".join(lines) + "\n"


def _table(keys: dict[str, str]) -> list[str]:
    return list(table(("Key", "Meaning"), [(f"`{key}`", meaning) for key, meaning in keys.items()]))
