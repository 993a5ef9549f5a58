#!/bin/sh
# backup.sh FOLDER [COMPOSE-OPTIONS...]: saves everything that a new machine needs: the database, control's keys, recordings, files
# and secrets. Meetings continue; the object store is paused while it is read, so its clients wait.
# FOLDER contains every secret of the installation: encrypt copies that leave the machine.
set -eu
[ $# -ge 1 ] || { sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2; }
umask 077
mkdir -p "$1"
to=$(cd "$1" && pwd -P)
shift
cd "$(dirname "$0")"
compose() { docker compose "$@"; }
volume() { # NAME: Docker's name of it
    docker volume ls --quiet --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.volume=$1"
}
# Archives a volume with Parley's image, which has tar.
archive() { # NAME
    docker run --rm --network none --user 0:0 --volume "$(volume "$1"):/from:ro" --entrypoint tar "$image" -C /from -c . >"$to/$1.tar"
}
control=$(compose "$@" ps --quiet control)
image=$(docker inspect --format '{{.Config.Image}}' "$control")
project=$(docker inspect --format '{{index .Config.Labels "com.docker.compose.project"}}' "$control")

# The database first: by then, the volumes have every file that it names.
compose "$@" exec -T postgres pg_dump --username parley --format custom parley >"$to/database.dump"
archive control
archive recordings
store=$(compose "$@" ps --quiet seaweedfs)
if [ -n "$store" ]; then
    docker pause "$store" >/dev/null
    trap 'docker unpause "$store" >/dev/null' EXIT
    archive seaweedfs
fi
tar -C secrets -c . >"$to/secrets.tar"
echo "backup: $(du -sh "$to" | cut -f 1) in $to" >&2
