#!/bin/sh
# Brings the volume up to this image's version, then starts the web server. Bundled parts are links into the image, so
# the volume holds only what people made and never an old copy of the program.
set -eu

if [ "$(id -u)" = 0 ]; then
    # Started as root, as upstream's sample does: the files and the program belong to the image's own user all the same.
    chown -R 1000:1000 /storage
    chown 1000:1000 /dev/stdout /dev/stderr
    exec setpriv --reuid=1000 --regid=1000 --clear-groups "$0" "$@"
fi

if ! [ -w /storage ]; then
    echo "/storage is not writable by user $(id -u): chown the folder that is mounted there to $(id -u):$(id -g)" >&2
    exit 1
fi

program=/usr/share/dokuwiki
mkdir -p /storage/conf /storage/data /storage/lib/plugins /storage/lib/tpl /storage/lib/images/smileys
# Also refreshes the pages that explain the syntax; -L because the bundled data is behind a link.
cp -rL "$program/data.core/." /storage/data/
# The installer reads this one file past the list of default settings.
ln -sfn "$program/conf.core/license.php" /storage/conf/license.php

for part in lib/plugins lib/tpl lib/images/smileys; do
    for bundled in "$program/$part.core"/*; do
        place="/storage/$part/${bundled##*/}"
        rm -rf "$place"
        ln -s "$bundled" "$place"
    done
done

exec "$@"
