#!/bin/sh
# Checks the page's scripts: types by tsc (JSDoc), mistakes by ESLint, and that vendor/ is what package-lock.json makes.
set -eu
cd "$(dirname "$0")"
sh install.sh
npm run --silent check
