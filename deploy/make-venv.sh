#!/bin/sh
# Creates .venv and installs Parley into it; with the argument "dev", also the packages for tests and checks.
set -eu
cd "$(dirname "$0")/.."

python=
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "parley: Python 3.11 or newer is needed; found $(python3 --version 2>&1 || echo none). Set PYTHON to a newer one." >&2
    exit 1
fi
if ! [ -x .venv/bin/python ]; then
    echo "making .venv with $("$python" --version)"
    if ! "$python" -m venv .venv 2>.venv-error; then
        echo "parley: $python has no working venv module (Debian and Ubuntu: the package python3-venv)" >&2
        cat .venv-error >&2
        rm -rf .venv .venv-error
        exit 1
    fi
    rm -f .venv-error
fi

# Shows progress on one line, instead of pip's hundreds.
follow() {
    while IFS= read -r line; do
        case $line in
        Collecting*|Downloading*|Building*|Installing*) [ -t 1 ] && printf '\r\033[K  %.100s' "$line" ;;
        ERROR*|error*) printf '\n%s\n' "$line" ;;
        esac
    done
    [ -t 1 ] && printf '\r\033[K'
    :
}
install() {
    log=.venv/install.log
    { .venv/bin/python -m pip install --disable-pip-version-check --no-compile "$@" 2>&1; echo "exit $?"; } |
        tee "$log" | follow
    if [ "$(tail -n 1 "$log")" != "exit 0" ]; then
        echo "parley: the installation failed; the full output is in $log" >&2
        exit 1
    fi
}
echo "installing Parley into .venv (the first time takes about a minute)"
install --upgrade 'pip>=25.1'
if [ "${1:-}" = dev ]; then
    install --constraint deploy/constraints.txt --editable . --editable deploy/client --group dev
    touch .venv/.installed-dev
else
    install --constraint deploy/constraints.txt --editable . --editable deploy/client
fi
# As pip would, but on all processors. What does not compile is for other versions of Python.
.venv/bin/python -m compileall -qq -j 0 .venv/lib >/dev/null 2>&1 || :
touch .venv/.installed
