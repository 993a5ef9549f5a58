#!/bin/sh
# copy-certificate.sh FROM TO: keeps a copy of fullchain.pem and privkey.pem for nginx, which does not run as root. This script runs as
# root, so it can read any FROM, such as certbot's folder of links. A renewed certificate is copied within half a minute.
from=$1
to=$2
umask 077
mkdir -p "$to"
chown 10001:10001 "$to"
while :; do
    for name in fullchain.pem privkey.pem; do
        if ! [ -r "$from/$name" ]; then
            echo "no $from/$name: set PARLEY_TLS to the folder of both; if they are links, set PARLEY_TLS_ROOT to a folder above that" >&2
        elif ! cmp -s "$from/$name" "$to/$name"; then
            cp "$from/$name" "$to/.$name" && chown 10001:10001 "$to/.$name" && mv "$to/.$name" "$to/$name"
            echo "$name copied" >&2
        fi
    done
    sleep "${PARLEY_LOOK_SECONDS:-30}" &
    wait $!
done
