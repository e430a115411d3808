#!/bin/sh
# FLOWS names the file of flows, and arguments are handed on, as in the upstream image; exec makes Node-RED receive the
# stop signal.
set -eu
exec node node_modules/node-red/red.js --userDir /data "$FLOWS" "$@"
