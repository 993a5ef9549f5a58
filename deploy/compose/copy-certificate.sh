#!/bin/sh
# copy-certificate.sh FROM TO: keeps a copy of fullchain.pem and privkey.pem for nginx, which does not run as root. Whoever may read
# FROM, certbot's folder of links or any other, this may, as root; a renewed certificate is copied within half a minute.
from=$1
to=$2
umask 077
mkdir -p "$to"
chown 10001:10001 "$to"
while :; do
    for name in fullchain.pem privkey.pem; do
        if ! [ -r "$from/$name" ]; then
            echo "no $from/$name: set PARLEY_TLS to the folder of both, and PARLEY_TLS_ROOT to one above it where they are links" >&2
        elif ! cmp -s "$from/$name" "$to/$name"; then
            cp "$from/$name" "$to/.$name" && chown 10001:10001 "$to/.$name" && mv "$to/.$name" "$to/$name"
            echo "$name copied" >&2
        fi
    done
    sleep "${PARLEY_LOOK_SECONDS:-30}" &
    wait $!
done
