#!/bin/sh
# go_tool.sh PROGRAM PACKAGE VERSION [go build arguments]: builds a program from its Go module, in a module of its own, since the
# dependencies of programs disagree.
set -eu

program=$1 package=$2 version=$3
shift 3
module=$(mktemp -d)
trap 'rm -rf "$module"' EXIT
cd "$module"
printf 'module tools\n' >go.mod
go get -tool "$package@$version" 2>get.log || { tail -n 5 get.log >&2; exit 1; }
CGO_ENABLED=0 nice go build -p 2 "$@" -o "$program" "$package"
