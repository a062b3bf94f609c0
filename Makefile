# Two commands: `make book` builds the website, `make test` proves it.
# Both need Python 3.11 or newer and make; each makes its own environment in $(VENV).

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CACHE := _build/.jupyter_cache
# In the order of the book, which starts the longest chapter early.
CHAPTERS := $(shell sed -n 's|.*file: \(book/chapters/.*\)|\1.ipynb|p' _toc.yml)

# Notebooks run two at a time: one thread each is faster than two that fight for two cores.
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: book test run-notebooks address pins clean

book: $(INSTALLED) $(CACHE)/.package
	$(BIN)/jcache notebook -p $(CACHE) add $(CHAPTERS)
	$(BIN)/jcache project -p $(CACHE) execute -e local-parallel -t 120
	$(BIN)/jupyter-book build . -W -n --keep-going -q
	@echo "The book is ready. Open $(CURDIR)/_build/html/index.html"

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --durations 10 \
	    --nbval-lax --nbval-cell-timeout 180 tests $(CHAPTERS)

# For authors: execute all chapters and store their outputs.
run-notebooks: $(INSTALLED)
	$(BIN)/python book/notebooks.py run

# After a change of the repository's address in pyproject.toml.
address: $(INSTALLED)
	$(BIN)/python book/notebooks.py address

# After an upgrade: write down the environment as it is.
pins: $(INSTALLED)
	{ sed -n '/^#/p' constraints.txt; \
	  $(BIN)/pip freeze --exclude-editable | sed 's/+cpu$$//'; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf _build

$(INSTALLED): pyproject.toml requirements.txt constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, try make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -r requirements.txt
	touch $@

# Cached outputs are those of one state of package and results: a change throws them away.
USED := $(wildcard sst_tutorial/*.py sst_tutorial/weights/* sst_tutorial/presets/*) \
    $(shell find experiments -name '*.json' -o -name '*.csv' -o -name '*.toml')
$(CACHE)/.package: $(INSTALLED) $(USED)
	rm -rf $(CACHE)
	mkdir -p $(CACHE)
	touch $@
