# Every target installs what it needs into .venv, once: again only where a source file is newer.
PYTHON ?= python3
TORCH ?= torch==2.13.0
PIP = .venv/bin/python -m pip
export PRE_COMMIT_HOME = $(CURDIR)/.venv/pre-commit

SOURCES := pyproject.toml setup.py CMakeLists.txt README.md LICENSE \
  $(shell find csrc zcfast -type f -not -name '*.pyc' -not -name '*.so')

.PHONY: score test test-all bench asan device cuda-report lint format clean

score: .venv/installed
	.venv/bin/zcfast score nasbench101 --proxies path_rank,params,flops --out scores.parquet

# Two processes of one thread each: more threads of both would wait for each other.
PYTEST = OMP_NUM_THREADS=1 .venv/bin/pytest -n $(shell nproc) --dist loadfile

test: .venv/installed-test
	$(PYTEST)

test-all: .venv/installed-test
	$(PYTEST) -m ''

bench: .venv/installed-bench
	.venv/bin/pytest bench

# The operators with hostile arguments under AddressSanitizer: builds them anew, for g++ with libasan.
asan: .venv/installed-asan
	.venv/bin/python tools/asan.py

# Everything that needs a GPU, into one file under bench/results: with what this Python has, in place, without a network.
device:
	$(PYTHON) -m bench.device

# What the compiled kernels use, against docs/cuda_report.md: needs nvcc. The extension is the installed package's.
cuda-report: .venv/installed-cuda-report
	.venv/bin/python tools/cuda_report.py --library "$$(cd / && "$(CURDIR)/.venv/bin/python" -c 'import zcfast, pathlib; print(pathlib.Path(zcfast.__file__).parent / "_C.abi3.so")')"

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

# One build serves every target. What was installed before is of the same version and would stay.
.venv/wheel: $(SOURCES) | .venv/bin/python
	rm -rf .venv/dist
	$(PIP) wheel --no-deps --wheel-dir .venv/dist .
	$(PIP) uninstall --yes zcfast
	rm -f .venv/installed*
	touch $@

.venv/installed: .venv/wheel
	$(PIP) install '$(TORCH)' .venv/dist/*.whl
	touch $@

# With the tools of an extra.
.venv/installed-%: .venv/wheel
	$(PIP) install '$(TORCH)' "$$(echo .venv/dist/*.whl)[$*]"
	touch .venv/installed $@
