#!/bin/sh
# Gets the real systems that tests use instead of emulators, into a folder (build/real): Apache Kafka by Maven, and by Go Jaeger,
# versitygw, FerretDB (MongoDB's protocol on SQLite), VictoriaLogs (Loki's push format), fake-gcs-server (Google Cloud Storage) and a
# check by Grafana's own types, by npm MongoDB's shell and Azurite (Azure Blob Storage), one after the other. What is there is kept; what cannot be had is named, and tests then use an emulator.
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
# Its module lacks a file that its build reads.
ferretdb() {
    version=v1.24.2 place=$(mktemp -d)
    module=$(cd "$place" && printf 'module tools\n' >go.mod && go mod download -json "github.com/FerretDB/FerretDB@$version" |
        sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
    cp -r "$module" "$place/source" && chmod -R u+w "$place/source" && echo $version >"$place/source/build/version/version.txt"
    (cd "$place/source" && CGO_ENABLED=0 nice go build -p 2 -o "$out/ferretdb" ./cmd/ferretdb) && echo "ferretdb: $version"
    rm -rf "$place"
}
dashboards() {
    (cd "$here/dashboards" && CGO_ENABLED=0 nice go build -p 2 -o "$out/dashboards" .) && echo "dashboards: Grafana's types"
}
mongosh() {
    npm install --silent --no-audit --no-fund --omit=optional --prefix "$out/mongosh" mongosh@2.12.0 && echo "mongosh: 2.12.0"
}
azurite() {
    npm install --silent --no-audit --no-fund --prefix "$out/azurite" azurite@3.37.0 && echo "azurite: 3.37.0"
}

with mvn kafka kafka
with go versitygw by_go github.com/versity/versitygw/cmd/versitygw v1.8.0
with go jaeger by_go github.com/jaegertracing/jaeger/cmd/jaeger v1.76.0
with go ferretdb ferretdb
with go victoria-logs by_go github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs v1.52.1
with go dashboards dashboards
with npm mongosh mongosh
with go fake-gcs-server by_go github.com/fsouza/fake-gcs-server v1.56.1
with npm azurite azurite
