PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test test-fast lint docs notebooks sbom coverage torture clean

train: .venv/train.stamp  ## get MNIST, train DigitNet with the best recipe, evaluate it
	$(BIN)/digitnet train

test: .venv/dev.stamp lint  ## lint, type-check and test
	$(BIN)/pytest -n 2 --dist worksteal

test-fast: .venv/dev.stamp  ## test without browsers, clusters, full disks and whole documents
	$(BIN)/pytest -n 2 --dist worksteal --ignore tests/end_to_end

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/dev.stamp  ## the documentation as a web site, in site/
	$(BIN)/mkdocs build --strict --quiet

notebooks: .venv/dev.stamp  ## execute the lessons in docs/learn, and keep what they print
	$(BIN)/jupyter nbconvert --log-level WARN --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False docs/learn/*.ipynb

sbom: .venv/bin/python  ## the packages digitnet was tested with, as a CycloneDX bill of materials
	test -x .venv/sbom/bin/cyclonedx-py || { $(BIN)/python -m venv .venv/sbom && .venv/sbom/bin/pip install -q cyclonedx-bom==7.5.0; }
	PYTHONWARNINGS=ignore .venv/sbom/bin/cyclonedx-py requirements --pyproject pyproject.toml --short-PURLs --output-reproducible -o .venv/sbom.json constraints.txt
	@# the packages are named, not the host that one of many registries has
	$(BIN)/python -c 'import json; bom = json.load(open(".venv/sbom.json")); [part.pop("externalReferences", None) for part in bom["components"]]; bom["metadata"].pop("tools", None); print(json.dumps(bom, indent=2))' > sbom.json

coverage: .venv/dev.stamp  ## share of the package's lines that the tests run; fails below 98%
	$(BIN)/coverage erase
	@# data of processes in other folders lies here, too
	COVERAGE_FILE=$(CURDIR)/.coverage $(BIN)/coverage run -m pytest -n 2 --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

torture: .venv/dev.stamp  ## kill it, fill its disk, feed it rubbish: every benchmarks/torture_*.py, up to hours
	@failed=; for script in benchmarks/torture_*.py; do echo "$$script"; $(BIN)/python $$script || failed="$$failed $$script"; done; \
	test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

clean:  ## the environment and caches; runs and data stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "digitnet needs Python 3.11 or newer, this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv

.venv/train.stamp: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train]'
	@touch $@

.venv/dev.stamp: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[audit,keras,train,pdf,forms,review,xlsx,serve,scale,docs,dev]'
	@touch $@ .venv/train.stamp
