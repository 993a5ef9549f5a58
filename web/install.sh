#!/bin/sh
# Installs the tools that build and check the page into web/node_modules, if they are missing. Tests may run it in parallel.
set -eu
cd "$(dirname "$0")"
if [ -z "${PARLEY_LOCKED-}" ] && command -v flock >/dev/null; then
    PARLEY_LOCKED=1 exec flock .install.lock sh install.sh
fi
# A checkout, or a copy into an image, gives files new times, so their contents count as well.
if ! [ node_modules/.package-lock.json -nt package-lock.json ] &&
    ! cmp -s package-lock.json node_modules/.installed-lock.json; then
    npm ci --no-audit --no-fund --loglevel=error
    touch node_modules/.package-lock.json
    cp package-lock.json node_modules/.installed-lock.json
fi
