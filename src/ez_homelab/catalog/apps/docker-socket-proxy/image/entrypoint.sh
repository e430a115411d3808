#!/bin/sh
# As the upstream image does: options may stand without `haproxy` before them, and HAProxy stays in the foreground.
set -eu
case "${1:-}" in
    -*) set -- haproxy "$@" ;;
esac
if [ "${1:-}" = haproxy ]; then
    shift
    exec haproxy -W -db "$@"
fi
exec "$@"
