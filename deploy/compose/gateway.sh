#!/bin/sh
# gateway.sh FOLDER [NGINX-OPTIONS...]: runs nginx with FOLDER/nginx.conf, and lets it read that and the certificates in FOLDER
# again when they have changed. What nginx would not take is left alone until it is whole: running meetings go on.
folder=$1
shift
conf=$folder/nginx.conf
state() { find "$folder" -type f -exec cksum {} + | sort | cksum; }
seen=$(state)
nginx -c "$conf" -g 'daemon off;' "$@" &
nginx=$!
trap 'kill -QUIT $nginx 2>/dev/null' TERM INT QUIT
while kill -0 $nginx 2>/dev/null; do
    sleep "${PARLEY_LOOK_SECONDS:-10}" &
    wait $! # which a signal interrupts
    now=$(state)
    if [ "$now" != "$seen" ] && nginx -t -q -c "$conf"; then
        echo "configuration or certificate changed: nginx reads it again" >&2
        kill -HUP $nginx
        seen=$now
    fi
done
wait $nginx
