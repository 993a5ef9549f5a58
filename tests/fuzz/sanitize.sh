#!/bin/sh
# Runs the engine's tests on a compiled engine with AddressSanitizer and UndefinedBehaviorSanitizer, in a tree of its
# own under build/. Arguments go to pytest; "fuzz SECONDS" runs the fuzzer there instead.
set -eu
cd "$(dirname "$0")/../.."
python=$(pwd)/.venv/bin/python
tree=build/sanitized
rm -rf "$tree"
mkdir -p "$tree"
cp -r sfu control recorder inference web deploy tests pyproject.toml README.md LICENSE "$tree"
cd "$tree"
rm -f sfu/engine/compiled*.so sfu/engine/compiled.c
# Every basic block reports itself to tests/fuzz/coverage.c, which the fuzzer reads.
cc -g -O1 -shared -fPIC -o coverage.so tests/fuzz/coverage.c
CFLAGS="-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -fsanitize-coverage=trace-pc" \
    LDFLAGS="-fsanitize=address,undefined $(pwd)/coverage.so" "$python" -c "from setuptools import setup; setup()" -q build_ext --inplace
LD_PRELOAD="$(cc -print-file-name=libasan.so) $(cc -print-file-name=libubsan.so)"
# The interpreter itself does not free all it allocates.
ASAN_OPTIONS=detect_leaks=0:abort_on_error=1
export LD_PRELOAD ASAN_OPTIONS
PYTHONPATH=$(pwd)
export PYTHONPATH
if [ "${1:-}" = fuzz ]; then
    exec "$python" -m tests.fuzz.fuzz_engine --seconds "${2:-600}" --corpus ../../tests/fuzz/engine_corpus --coverage ./coverage.so
fi
exec "$python" -m pytest -q -p no:cacheprovider tests/sfu/engine -k "compiled or agree or alike or hostile or continuous" "$@"
