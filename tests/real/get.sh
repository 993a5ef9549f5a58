#!/bin/sh
# Gets the real systems that tests use instead of emulators, into a folder (build/real): Apache Kafka by Maven, and Jaeger and
# versitygw by Go, one after the other. What is there is kept; what cannot be had is named, and tests then use an emulator.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)

with() { # TOOL NAME COMMAND...
    tool=$1 name=$2
    shift 2
    [ ! -e "$out/$name" ] || { echo "$name: there already"; return; }
    command -v "$tool" >/dev/null || { echo "$name: needs $tool"; return; }
    "$@" "$name" || { rm -rf "${out:?}/$name"; echo "$name: cannot be had (see above)"; }
}
kafka() {
    mvn -q --batch-mode -f "$here/kafka/pom.xml" dependency:copy-dependencies -DoutputDirectory="$out/kafka" && echo "kafka: Apache Kafka 4.1.1"
}
by_go() { # PACKAGE VERSION NAME
    sh "$here/../support/go_tool.sh" "$out/$3" "$1" "$2" && echo "$3: $2"
}

with mvn kafka kafka
with go versitygw by_go github.com/versity/versitygw/cmd/versitygw v1.8.0
with go jaeger by_go github.com/jaegertracing/jaeger/cmd/jaeger v1.76.0
