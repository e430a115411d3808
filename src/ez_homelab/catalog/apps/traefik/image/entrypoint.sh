#!/bin/sh
# As the upstream image does: options, or the name of a traefik command, may stand without `traefik` before them.
set -eu
case "${1:-}" in
    "" | -* | healthcheck | version) exec traefik "$@" ;;
    *) exec "$@" ;;
esac
