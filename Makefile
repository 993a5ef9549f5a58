# `make run` starts a meeting server, `make test` tests it; both install what they need into .venv first.
.PHONY: run test test-quick check deps venv clean
PYTEST_ARGS ?=

run: .venv/.installed
	@exec .venv/bin/parley up $(ARGS)

test: deps .venv/.installed-dev
	@.venv/bin/pytest $(PYTEST_ARGS)

check: .venv/.installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

deps:
	@sh deploy/install-test-packages.sh

venv: .venv/.installed-dev

.venv/.installed: pyproject.toml
	@sh deploy/make-venv.sh

.venv/.installed-dev: pyproject.toml
	@sh deploy/make-venv.sh dev

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
