# `make run` starts a meeting server, `make test` tests it; both install what they need into .venv first.
.PHONY: run page packages test check deps venv bench test-sanitized test-network test-tasks test-lighthouse test-references references stack real containers kubernetes fuzz versions docs pictures clean
# Containers often set this. Each part of each server of a test would compile every module again.
unexport PYTHONDONTWRITEBYTECODE
PYTEST_ARGS ?=
# Test files run side by side: most of them wait for servers and browsers.
WORKERS ?= 4
# What an installation is made from; the compiled engine is built along with it.
SOURCES = pyproject.toml deploy/constraints.txt deploy/client/pyproject.toml sfu/engine/compiled.pyx $(wildcard sfu/engine/native/*)

run: .venv/.installed
	@exec .venv/bin/parley up $(ARGS)

# The page, bundled: faster to load than its sources, which a checkout serves otherwise. Needs npm.
page:
	@sh web/build.sh

# The packages of both SDKs: the wheel of parley-client in dist/, @parley/sdk in build/sdk.
packages: .venv/.installed-dev
	@.venv/bin/python -m build --wheel --outdir dist deploy/client
	@sh web/package.sh

test: deps .venv/.installed-dev
	@.venv/bin/python -c 'import sys, web; sys.exit(web.root() == web.ROOT)' || sh web/build.sh >/dev/null
	@.venv/bin/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 10 --rerun-show-tracebacks \
		$(PYTEST_ARGS)

check: .venv/.installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	MYPYPATH=deploy/client/examples .venv/bin/mypy $(wildcard deploy/client/examples/*.py)
	.venv/bin/lint-imports
	@! git grep -nE '^(<{7}|>{7}) ' -- . # left from a merge
	.venv/bin/codespell
	.venv/bin/parley up --help | .venv/bin/codespell -
	.venv/bin/python .ci/prose.py
	@sh web/check.sh

deps:
	@sh deploy/install-test-packages.sh

venv: .venv/.installed-dev

.venv/.installed: $(SOURCES)
	@sh deploy/make-venv.sh

.venv/.installed-dev: $(SOURCES)
	@sh deploy/make-venv.sh dev

bench: .venv/.installed-dev
	@.venv/bin/python -m bench all

# The engine's tests, and its fuzzer, under AddressSanitizer and UndefinedBehaviorSanitizer.
test-sanitized: deps .venv/.installed-dev
	@sh tests/fuzz/sanitize.sh

# Bars in emulated networks, one after the other; SEEDS=5 is the full run (a bar may miss one of five).
SEEDS ?= 1
test-network: deps .venv/.installed-dev
	@.venv/bin/pytest -s --seeds $(SEEDS) tests/network tests/network/bar_*.py tests/sfu/machines/test_link_model.py \
		tests/sfu/machines/test_estimator_closed_loop.py tests/sfu/machines/test_shared_link.py \
		tests/sfu/rooms/test_adaptation.py $(PYTEST_ARGS)

# Five timed tasks in browsers, which use only what the page shows; PARLEY_PICTURES=folder saves a picture of each step.
test-tasks: deps .venv/.installed-dev
	@.venv/bin/pytest -s -p no:rerunfailures tests/tasks/bar_tasks.py $(PYTEST_ARGS)

# Lighthouse's points for the first screens. It needs Node and the network, and a machine with nothing else to do.
test-lighthouse: deps .venv/.installed-dev
	@.venv/bin/pytest -s -p no:rerunfailures tests/tasks/bar_lighthouse.py $(PYTEST_ARGS)

# Every screen beside its reference pictures; `make test` compares the widest in the light theme only. Differences are
# in build/differences. `make references` renews the pictures after a change that was wanted.
test-references: deps .venv/.installed-dev
	@PARLEY_REFERENCES=all .venv/bin/pytest -q -p no:rerunfailures --timeout 900 tests/web/test_looks.py $(PYTEST_ARGS)

references: deps .venv/.installed-dev
	@PARLEY_REFERENCES=renew .venv/bin/pytest -q -p no:rerunfailures --timeout 900 tests/web/test_looks.py $(PYTEST_ARGS)

# The whole topology on this machine, until Ctrl-C. `make real` first replaces its emulators.
stack: deps .venv/.installed-dev
	@.venv/bin/python -m tests.stack

# Gets Apache Kafka, Jaeger, versitygw, FerretDB, VictoriaLogs, Azurite, fake-gcs-server and Grafana's types into build/real, and runs the
# tests with them. Needs Java with Maven, Go and npm.
real: deps .venv/.installed-dev
	@sh tests/real/get.sh build/real
	@.venv/bin/pytest -s -p no:rerunfailures --timeout 900 tests/control/test_kafka.py tests/control/bar_kafka.py \
		tests/control/ai/test_results.py tests/deploy/bar_jaeger.py tests/deploy/bar_logs.py tests/deploy/bar_dashboards.py $(PYTEST_ARGS)
	@PARLEY_TEST_S3=versitygw .venv/bin/pytest -p no:rerunfailures tests/objects tests/control/test_files_in_s3.py \
		tests/control/test_signed_links.py tests/recorder/test_object_store.py $(PYTEST_ARGS)

# Every container started, called, upgraded, crashed; as root. Images and tools stay in build/containers.
containers: .venv/.installed-dev
	@.venv/bin/pytest -s -x -p no:rerunfailures --timeout 1800 --durations 20 tests/containers/bar_containers.py $(PYTEST_ARGS)

# The manifests on a real API server, with machines that are made up; needs Go. Built programs stay in build/kubernetes.
kubernetes: .venv/.installed-dev
	@.venv/bin/pytest -s -x -p no:rerunfailures --timeout 3600 --durations 20 tests/kubernetes/bar_kubernetes.py $(PYTEST_ARGS)

fuzz: deps .venv/.installed-dev
	@sh tests/fuzz/sanitize.sh fuzz 600
	@for parser in livekit_requests livekit_packets livekit_join sip sip_media; do \
		.venv/bin/python -m tests.fuzz $$parser --seconds 200 || exit 1; done

# deploy/constraints.txt anew: the newest versions that pyproject.toml admits. Run the tests before they are committed.
versions:
	@sh deploy/newest-versions.sh

# The documents as a site, in docs/site.
docs: .venv/.installed-dev
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet --strict -f docs/mkdocs.yml

# Pictures of the documents, from their sources; needs Graphviz.
pictures: $(patsubst %.dot,%.svg,$(wildcard docs/pictures/*.dot))

%.svg: %.dot
	dot -Tsvg $< -o $@

clean:
	rm -rf .venv build dist web/built *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
