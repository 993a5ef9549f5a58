#!/bin/sh
# upgrade.sh [COMPOSE-OPTIONS...]: moves a running installation to the image that compose.yaml or PARLEY_IMAGE names. Build or pull
# it first, and use the same -f options and variables as for `up`. Meetings continue: a second control and a second sfu take over
# before the first ones stop. To go back, run it with the previous image.
set -eu
cd "$(dirname "$0")"
compose() { docker compose "$@"; }
say() { echo "upgrade: $*" >&2; }

[ -n "$(compose "$@" ps --quiet control)" ] || { say "nothing runs here: docker compose up -d"; exit 1; }

# Maximum time for moving a node's meetings, in seconds.
patience=60

say "migrates the database; the running release goes on with it"
compose "$@" up --detach --no-deps --no-build migrate
compose "$@" wait migrate >/dev/null 2>&1 || true
[ "$(docker inspect --format '{{.State.ExitCode}}' "$(compose "$@" ps --all --quiet migrate)")" = 0 ] || {
    compose "$@" logs migrate >&2
    exit 1
}

say "starts a second control"
old=$(compose "$@" ps --quiet control)
compose "$@" up --detach --no-deps --no-build --no-recreate --scale control=2 --wait control
sleep 11 # the gateway looks its name up again within ten seconds
docker stop --time 40 $old >/dev/null
docker rm $old >/dev/null

say "moves the meetings to a second sfu"
compose "$@" --profile upgrade up --detach --no-deps --no-build --force-recreate --wait sfu-2
compose "$@" exec -T control parley nodes drain sfu-1 --grace 0
compose "$@" exec -T sfu drained http://127.0.0.1:8084/metrics $patience

say "replaces the first sfu, and moves them back"
compose "$@" up --detach --no-deps --no-build --wait sfu
# It is the same process as before if its image has not changed, as when an interrupted upgrade is run again.
compose "$@" exec -T control parley nodes undrain sfu-1
compose "$@" exec -T control parley nodes drain sfu-2 --grace 0
compose "$@" exec -T sfu-2 drained http://127.0.0.1:8084/metrics $patience
compose "$@" --profile upgrade rm --stop --force sfu-2

say "replaces all else"
# Only running services: those disabled with --scale stay off. Those of files that are not given are left alone.
compose "$@" up --detach --no-deps --no-build $(compose "$@" ps --all --orphans=false --services)
