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

.PHONY: book test pdf slides handouts website test-colab run-notebooks address pins clean

# Each figure is drawn a second time, for phones (sst_tutorial/phone.py).
book: export SST_TUTORIAL_PHONE = 1
book: $(INSTALLED) $(CACHE)/.package
	$(BIN)/jcache notebook -p $(CACHE) add $(CHAPTERS)
	$(BIN)/jcache project -p $(CACHE) execute -e local-parallel -t 120
	$(BIN)/jupyter-book build . -W -n --keep-going -q
	@echo "The book is ready. Open $(CURDIR)/_build/html/index.html"

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --durations 10 \
	    --nbval-lax --nbval-cell-timeout 180 tests $(CHAPTERS)

# The whole book as one PDF. Chromium prints it; CHROMIUM names another one.
CHROMIUM ?= chromium
pdf: book
	$(BIN)/jupyter-book build . -q --builder singlehtml
	@# Its pictures are named from the folder above the page.
	cp _build/singlehtml/book/index.html _build/singlehtml/book.html
	$(CHROMIUM) --headless --no-sandbox --disable-gpu --no-pdf-header-footer \
	    --virtual-time-budget=120000 --print-to-pdf=_build/book.pdf _build/singlehtml/book.html
	@echo "The book on paper: $(CURDIR)/_build/book.pdf"

# A lesson on the wall: each chapter as slides, from its notebook and its stored outputs.
slides: $(INSTALLED)
	$(BIN)/python book/slides.py $(PAGES)
	@echo "Open a file of $(CURDIR)/_build/slides: arrow keys turn, n shows the notes"

# A lesson on paper: each chapter as a PDF without its answers and solutions.
HANDOUTS = $(or $(PAGES),$(notdir $(basename $(CHAPTERS))))
handouts: book
	mkdir -p _build/handouts
	for name in $(HANDOUTS); do \
	    $(CHROMIUM) --headless --no-sandbox --disable-gpu --no-pdf-header-footer \
	        --virtual-time-budget=60000 --print-to-pdf=_build/handouts/$$name.pdf \
	        "file://$(CURDIR)/_build/html/book/chapters/$$name.html#handout" || exit 1; done
	@echo "Handouts: $(CURDIR)/_build/handouts"

# Every built page in a browser: weight, complaints, screen readers, phones, Lighthouse.
# Needs Chromium and node (18 or newer); takes 15 minutes. `make test` looks at three pages.
website: book
	SST_TUTORIAL_SITE=_build/html SST_TUTORIAL_PAGES=all \
	    $(BIN)/python -m pytest -q -rA tests/test_website.py

# Chapters and doctor as on Colab: its versions (.github/colab.txt), one notebook, no repository.
# PAGES="month_of_ocean judging" runs these; COLAB_PYTHON names Colab's Python, 3.13;
# COLAB_TORCH another torch, where its own would bring a gigabyte for graphics cards.
COLAB := _build/colab
COLAB_PYTHON ?= $(shell python3.13 -c '' 2> /dev/null && echo python3.13 || echo $(PYTHON))
COLAB_TORCH ?= 2.11.0
test-colab:
	$(COLAB_PYTHON) -m venv --clear $(COLAB)
	sed 's/^torch==.*/torch==$(COLAB_TORCH)/' .github/colab.txt > $(COLAB)/colab.txt
	@# What Colab has; then what the setup cell installs there.
	$(COLAB)/bin/pip install -q -c $(COLAB)/colab.txt torch numpy pandas xarray matplotlib scipy \
	    ipywidgets ipython ipykernel nbclient
	rm -rf build
	$(COLAB)/bin/pip install -q -c $(COLAB)/colab.txt ".[all]"
	cd / && $(abspath $(COLAB))/bin/sst-tutorial doctor
	$(COLAB)/bin/python book/colab.py $(PAGES)

# For authors: execute all chapters and store their outputs.
run-notebooks: $(INSTALLED)
	$(BIN)/python book/notebooks.py run

# make address URL=https://github.com/you/sst-tutorial: the repository's address, set everywhere.
# Without URL, after a new version: launch links and setup cells name its tag.
address: $(INSTALLED)
	$(BIN)/python book/notebooks.py address $(URL)

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
