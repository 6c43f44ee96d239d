# Four test processes share two cores, because each of them waits for two fifths of its time. A
# selection of tests (ARGS) runs in one process, which starts sooner. Drills are run by `make drills`.
ALL_TESTS = -n 4 --dist worksteal -m "not drill"

# Python and pytest keep the modules that they have compiled. Without them a run takes twice as long
# to start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test drills check screenshots bench clients lock clean install install-dev

help: ## Show what can be made
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

run: install ## Install what is missing and serve on PORT (8000)
	@.venv/bin/python -m smartspec.local.launch

test: install-dev ## Run all tests, in parallel; ARGS="-k name" for some
	@parts=$$(tools/test_parts.sh) && eval "$$parts" && .venv/bin/python -m pytest $(or $(ARGS),$(ALL_TESTS))

drills: install-dev ## Kill what can die, migrate installations, send more examples (4 minutes)
	@export CONFORMANCE_EXAMPLES=60; parts=$$(tools/test_parts.sh) && eval "$$parts" && \
		.venv/bin/python -m pytest -m "drill or conformance" $(ARGS)

check: install-dev ## Format, lint, types, layers, migrations, deployment settings
	@tools/check.sh

screenshots: install-dev ## Photograph all pages and compare them (15 minutes); ARGS=--accept keeps them
	@CHROMIUM=$$(tools/browser.sh) .venv/bin/python -m tools.pictures $(ARGS)

clients: install-dev ## Run real SDKs and agents (3 GB, 4 minutes the first time); ARGS="--only codex"
	@.venv/bin/python -m tests.clients $(ARGS)

bench: install ## Measure the gateway beside its peers (20 minutes); ARGS="--write" keeps it
	@.venv/bin/python -m bench.gateway $(ARGS)

lock: install ## Write the exact versions of the requirements files anew
	@tools/lock.sh

clean: ## Remove what was installed and cached; the data in .data stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis \
		.coverage* htmlcov test-results staticfiles
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

install:
	@python=$$(tools/python.sh) && "$$python" tools/install.py run

install-dev:
	@python=$$(tools/python.sh) && "$$python" tools/install.py run dev
