# Everything a fresh machine needs is set up by the target that needs it.
SHELL := /bin/bash
PY := .venv/bin/python
SPEED ?= 10
AIRPORT ?= JFK
WORKERS ?= 2

.PHONY: run stack test faults bench check format image wheel web clean

run: .venv/.run web/dist/.built
	$(PY) -m api serve --replay 2013-03-08 --speed $(SPEED) --airport $(AIRPORT)

stack: .venv/.test web/dist/.built
	$(PY) deploy/stack.py --speed $(SPEED)

# The tests start hundreds of processes: none of them compiles what another one has compiled.
test faults bench: export PYTHONDONTWRITEBYTECODE :=

test: .venv/.test web/dist/.built
	$(PY) -m pytest --hypothesis-profile=ci --numprocesses $(WORKERS) --dist loadfile \
		--no-loadscope-reorder tests/integration tests/contract tests/unit
	$(PY) -m pytest --hypothesis-profile=ci tests/e2e tests/faults
	cd web && npm test

# The faults of `make test` at their full length: 60 to 90 minutes.
faults: .venv/.test
	$(PY) -m pytest tests/faults -s --times 10

bench: .venv/.test
	$(PY) -m bench $(BENCH)
	$(PY) -m bench.ingest $(INGEST)
	$(PY) -m bench.push $(PUSH)
	$(PY) -m bench.fanout $(FANOUT)

check: .venv/.test web/node_modules/.installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/hadolint Dockerfile
	.venv/bin/docker-compose -f docker-compose.yml --env-file deploy/example.env config -q
	cd web && npm run check

image:
	bash deploy/build_image.sh

wheel: .venv/bin/uv web/dist/.built
	rm -rf build
	.venv/bin/uv build --wheel --quiet --out-dir dist .

format: .venv/.test
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

web: web/dist/.built

clean:
	rm -rf .venv build dist web/node_modules web/dist .mypy_cache .ruff_cache .pytest_cache

.venv/bin/uv:
	bash deploy/setup.sh run
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check uv

.venv/.run: .venv/bin/uv requirements.lock pyproject.toml
	@[ -e .venv/.test ] || .venv/bin/uv pip sync --quiet --compile-bytecode --require-hashes requirements.lock
	@[ -e .venv/.test ] || .venv/bin/uv pip install --quiet --no-deps --editable .
	@touch $@

.venv/.test: .venv/bin/uv requirements-dev.lock pyproject.toml
	bash deploy/setup.sh test
	.venv/bin/uv pip sync --quiet --compile-bytecode --require-hashes requirements-dev.lock
	.venv/bin/uv pip install --quiet --no-deps --editable .
	@touch $@

web/node_modules/.installed: web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

web/dist/.built: web/node_modules/.installed web/index.html web/board.html web/vite.config.ts web/vite.sw.config.ts $(shell find web/src web/worker -type f 2>/dev/null)
	cd web && npm run build
	@touch $@
