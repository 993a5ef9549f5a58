#!/bin/sh
# gateway.sh FOLDER [NGINX-OPTIONS...]: runs nginx with FOLDER/nginx.conf, and reloads it when that or a certificate in FOLDER
# changes. Files that nginx rejects are ignored until they are valid, so running meetings continue.
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
        echo "configuration or certificate changed: reloading nginx" >&2
        kill -HUP $nginx
        seen=$now
    fi
done
wait $nginx
