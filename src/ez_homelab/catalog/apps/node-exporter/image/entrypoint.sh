#!/bin/sh
# Debian's build collects systemd's units unless told otherwise, upstream's does not: without the system bus every
# scrape would log an error. A command that names the collector decides for itself.
set -eu
case " $* " in
    *collector.systemd*) exec /bin/node_exporter "$@" ;;
    *) exec /bin/node_exporter --no-collector.systemd "$@" ;;
esac
