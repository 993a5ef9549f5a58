#!/bin/sh
# Installs what `make containers` needs, as root: Docker's daemon and debootstrap from Debian, and Compose and buildx, where Debian has
# none that fit, from their Go modules into the folder that is named. Starts no daemon.
set -eu

plugins=$1
packages="docker.io containerd runc iptables nftables iproute2 debootstrap tini chromium"
missing=
for package in $packages; do
    if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then missing="$missing $package"; fi
done
if [ -n "$missing" ]; then
    policy=/usr/sbin/policy-rc.d # asked before a daemon is started that a package brings
    if ! [ -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    apt-get update -qq
    # shellcheck disable=SC2086  # words of their own
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
fi

mkdir -p "$plugins"
plugins=$(cd "$plugins" && pwd) # an absolute path, since programs are built elsewhere
tool=$(dirname "$0")/../support/go_tool.sh
build() { # PROGRAM PACKAGE VERSION VARIABLE
    if [ -x "$plugins/$1" ]; then return; fi
    command -v go >/dev/null || { echo "$1 is missing: put it into $plugins, or install Go" >&2; exit 1; }
    echo "building $1 $3 (a minute or two)"
    # Compose refuses a buildx that does not know its own version.
    sh "$tool" "$plugins/$1" "$2" "$3" -ldflags "-X $4=$3"
}
build docker-compose github.com/docker/compose/v2/cmd v2.40.3 github.com/docker/compose/v2/internal.Version
build docker-buildx github.com/docker/buildx/cmd/buildx v0.29.1 github.com/docker/buildx/version.Version
