#!/bin/sh
# Installs the Debian and Ubuntu packages that `make test` needs, as root; otherwise prints the command. Starts no daemon.
set -eu

packages="chromium chromium-headless-shell firefox-esr redis-server iproute2 nftables gcc libc6-dev libssl-dev libopus0
 gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
 nginx coturn etcd-server pgbouncer prometheus prometheus-alertmanager
 asterisk-core-sounds-en asterisk-core-sounds-en-g722 fonts-dejavu-core
 asterisk-core-sounds-es asterisk-core-sounds-es-g722 asterisk-core-sounds-fr asterisk-core-sounds-fr-g722
 asterisk-core-sounds-it asterisk-core-sounds-it-g722
 asterisk-core-sounds-ru asterisk-core-sounds-ru-g722 pocketsphinx-testdata
 asterisk-moh-opsound-g722 bucklespring-data"
command -v npm >/dev/null || packages="$packages npm"
# Needed to build the compiled engine; a Python that is not from a package brings its own headers.
headers='import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'
"${PYTHON:-python3}" -c "$headers" || packages="$packages python3-dev"

missing=
for package in $packages; do
    if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then
        missing="$missing $package"
    fi
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "Tests need packages that are not installed. As root, run:" >&2
    echo "  apt-get update && apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi
# invoke-rc.d consults this file before it starts a package's daemon.
policy=/usr/sbin/policy-rc.d
if ! [ -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
apt-get update -qq
# Slim images leave documents out, but the texts of the spoken prompts are among them.
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    -o 'Dpkg::Options::=--path-include=/usr/share/doc/asterisk-core-sounds-*' $missing
