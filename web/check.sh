#!/bin/sh
# Checks the page's scripts: types by tsc (JSDoc), mistakes by ESLint. npm puts both into web/node_modules.
set -eu
cd "$(dirname "$0")"
if ! [ node_modules/.package-lock.json -nt package-lock.json ]; then
    npm ci --no-audit --no-fund --loglevel=error
    touch node_modules/.package-lock.json
fi
npm run --silent check
