#!/bin/sh
# Writes deploy/constraints.txt: the newest versions that pyproject.toml admits, found by installing them.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip="$work/venv/bin/python -m pip --disable-pip-version-check"
$pip install --quiet --upgrade 'pip>=25.1'
$pip install --quiet --editable . --editable deploy/client --group dev
{
    sed -n '/^#/p' deploy/constraints.txt
    $pip list --format=freeze --exclude-editable | grep -v '^pip=='
} >"$work/constraints.txt"
cp "$work/constraints.txt" deploy/constraints.txt
git --no-pager diff --stat deploy/constraints.txt
