#!/bin/sh
# Builds the page into web/built, which the server then serves and wheels contain. Needs Node and npm.
set -eu
cd "$(dirname "$0")"
sh install.sh
exec node tools/page.js "$@"
