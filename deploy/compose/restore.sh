#!/bin/sh
# restore.sh FOLDER [COMPOSE-OPTIONS...]: creates an installation from a backup made by backup.sh; refuses if one exists.
set -eu
[ $# -ge 1 ] || { sed -n '2s/^# \{0,1\}//p' "$0" >&2; exit 2; }
from=$(cd "$1" && pwd -P)
shift
cd "$(dirname "$0")"
compose() { docker compose "$@"; }
volume() { # NAME: Docker's name of it
    docker volume ls --quiet --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.volume=$1"
}
[ -z "$(compose "$@" ps --all --quiet)" ] || { echo "restore: containers exist; run docker compose down --volumes first" >&2; exit 1; }

mkdir -p secrets
tar -C secrets -x <"$from/secrets.tar"
compose "$@" create --no-build control recorder postgres >/dev/null
control=$(compose "$@" ps --all --quiet control)
image=$(docker inspect --format '{{.Config.Image}}' "$control")
project=$(docker inspect --format '{{index .Config.Labels "com.docker.compose.project"}}' "$control")
for file in "$from"/*.tar; do
    name=$(basename "$file" .tar)
    [ "$name" != secrets ] || continue
    docker run --rm --interactive --network none --user 0:0 --volume "$(volume "$name"):/to" --entrypoint tar "$image" -C /to -x <"$file"
done
compose "$@" up --detach --wait --no-deps --no-build postgres
compose "$@" exec -T postgres pg_restore --username parley --dbname parley --clean --if-exists --exit-on-error <"$from/database.dump"
echo "restore: done; now run docker compose up -d" >&2
