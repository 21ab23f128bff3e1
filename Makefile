# Every target installs what it needs into .venv, once: again only where a source file is newer.
PYTHON ?= python3
TORCH ?= torch==2.13.0
PIP = .venv/bin/python -m pip
export PRE_COMMIT_HOME = $(CURDIR)/.venv/pre-commit

SOURCES := pyproject.toml setup.py CMakeLists.txt README.md LICENSE \
  $(shell find csrc zcfast -name '*.py' -o -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' -o -path '*/assets/*')

.PHONY: score test bench lint format clean

score: .venv/installed
	.venv/bin/zcfast score nasbench101 --proxies expected_synflow,params,flops --out scores.parquet

test: .venv/installed-test
	.venv/bin/pytest

bench: .venv/installed-bench
	.venv/bin/pytest bench

lint: .venv/installed-dev
	PATH="$(CURDIR)/.venv/bin:$$PATH" pre-commit run --all-files

format: .venv/installed-dev
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .
	find csrc -type f | xargs .venv/bin/clang-format -i

clean:
	rm -rf .venv build *.egg-info zcfast/*.so

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: $(SOURCES) | .venv/bin/python
	$(PIP) install '$(TORCH)' .
	touch $@

# With the tools of an extra; the package itself is then new as well.
.venv/installed-%: $(SOURCES) | .venv/bin/python
	$(PIP) install '$(TORCH)' '.[$*]'
	touch .venv/installed $@
