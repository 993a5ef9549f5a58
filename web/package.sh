#!/bin/sh
# Builds the package @parley/sdk in build/sdk, or in the folder given as argument. Needs Node and npm.
set -eu
cd "$(dirname "$0")"
sh install.sh
exec node tools/package.js "$@"
