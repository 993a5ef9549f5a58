#!/bin/sh
# Creates the secrets that compose.yaml mounts; existing ones are kept. Only the directory's owner can enter it.
set -eu
cd "$(dirname "$0")/secrets"
chmod 700 .
secret() {
    [ -s "$1" ] || head -c 32 /dev/urandom | base64 | tr -d '/+=\n' >"$1"
    chmod 444 "$1" # containers read it under a user of their own
}
secret node_secret
secret database_password
secret grafana_password
secret turn_secret
secret s3_access_key
secret s3_secret_key
[ -s s3_identities ] || printf '{"identities":[{"name":"parley","credentials":[{"accessKey":"%s","secretKey":"%s"}],"actions":["Admin"]}]}' \
    "$(cat s3_access_key)" "$(cat s3_secret_key)" >s3_identities
[ -s database_url ] || printf 'postgresql://parley:%s@postgres:5432/parley' "$(cat database_password)" >database_url
[ -e alert_webhook_url ] || printf 'http://127.0.0.1:9/' >alert_webhook_url
chmod 444 database_url alert_webhook_url s3_identities
