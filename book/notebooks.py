"""Chapters are notebooks: this file runs them, stores clean outputs, and says what is wrong.

    python book/notebooks.py run [paths]      execute, clean, stamp with a hash of the code
    python book/notebooks.py check [paths]    print every broken rule, exit status 1 if any
    python book/notebooks.py same [paths]     execute without real data: are the texts the same?
    python book/notebooks.py address [URL]    set the repository's address, or copy it again

Without paths, all chapters, as _toc.yml orders them. `definitions` gives tests the classes that
a chapter writes out.
"""

import argparse
import ast
import base64
import datetime
import hashlib
import io
import math
import os
import re
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import address as places  # book/address.py
import nbformat
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient
from PIL import Image
from PIL.PngImagePlugin import PngInfo

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = ROOT / "book" / "chapters"

# Budgets of one notebook. Chapter 2 trains a network, and *Change one thing* times two settings and
# trains both, so they may take longer: the latter had 40 s on one machine and 70 s on another.
MAX_BYTES = 550_000  # figures are stored twice, for wide screens and for phones
MAX_COLUMNS = 75
MAX_MEMORY_GB = 1.5
MAX_SECONDS = 60
LONGER = {"whole_machine": 180, "change_one_thing": 90}

HEADINGS_BEFORE = ["Objectives", "Prerequisites", "Time and machine", "Setup"]
HEADINGS_AFTER = ["Exercises", "What you can now do", "What's next", "References"]

# The first cell of every chapter. Colab has no sst_tutorial, so it installs it once: the release
# that the launch links open, since a branch moves on under readers of an older page.
INSTALL = '%pip install --quiet "sst-tutorial[all] @ git+{address}@{release}"'
UNKNOWN = 'raise SystemExit("install the package first: see book/setup.md")'
SETUP = """\
# The same cell opens every chapter. {purpose}
import importlib.util

if importlib.util.find_spec("sst_tutorial") is None:
    {install}

import matplotlib.pyplot as plt
import numpy as np
import torch

import sst_tutorial
from sst_tutorial.coast import use_shipped_coastline
from sst_tutorial.exercises import check

use_shipped_coastline()  # maps need no network
torch.manual_seed(0)
plt.rcParams.update({{"figure.constrained_layout.use": True}})"""

# What must not be stored: it differs between machines or runs, or a reader cannot use it.
DIRTY = {
    "a path of one machine": r"(?:^|[\s'\"(=])/(?:home|tmp|root|Users|work|content|opt|usr)/"
                             r"|[A-Z]:\\",
    "a memory address": r"\b0x[0-9a-f]{6,}",
    "a progress bar": r"\r|\d%\|| it/s",
}
REAL_DATA = re.compile(
    r"\b(?:shared_data|data_file|benchmark_(?:folder|months|module)|open_sst|SST_TUTORIAL_DATA)\b"
)
OWN_FILE = {"bring_your_file"}  # it opens a file, which it wrote itself
VAGUE_START = re.compile(
    r"(?:an? |the )?(?:figure|plot|image|picture|chart|graph|photo)s?(?: of| showing| that|:|$)",
    flags=re.I,
)
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


# ---- what every chapter shares ----------------------------------------------------------


def chapters():
    """Return the paths of all chapters in the order of the book, which _toc.yml alone has."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    pages = [ROOT / f"{page['file']}.ipynb" for part in contents["parts"]
             for page in part["chapters"]]
    return [path for path in pages if path.parent == CHAPTERS]


def address():
    return places.repository(ROOT)


def setup_source():
    if not places.is_set(address()):
        return SETUP.format(purpose="Without the package it stops.", install=UNKNOWN)
    install = INSTALL.format(address=address(), release=places.release(ROOT))
    return SETUP.format(purpose="On Colab it installs the package.", install=install)


def links_source(path):
    """Return the line of launch links of the notebook at `path`, or its one link."""
    if not places.is_set(address()):
        return "[Run this chapter on your own machine](../setup.md)"
    where, slug, tag = f"book/chapters/{path.name}", places.slug(address()), places.release(ROOT)
    colab = f"https://colab.research.google.com/github/{slug}/blob/{tag}/{where}"
    binder = f"https://mybinder.org/v2/gh/{slug}/{tag}?labpath={quote(where, safe='')}"
    return f"[Open in Colab]({colab}) · [Open in Binder]({binder})"


def tags(cell):
    return cell.metadata.get("tags", [])


def code_cells(notebook, tag=None):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell for cell in cells if tag is None or tag in tags(cell)]


def code_hash(notebook):
    """Hash the code of a notebook, without the setup cell that all chapters share."""
    sources = [cell.source for cell in code_cells(notebook) if "setup" not in tags(cell)]
    return hashlib.sha256("\n%%\n".join(sources).encode()).hexdigest()[:16]


def headings(notebook, level):
    """Return the text of all Markdown headings of one level, code fences left out."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return re.findall(rf"^{'#' * level} (.+?)\s*$", text, flags=re.M)


def output_texts(cell):
    """Yield the text of each output of a cell."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.text
        for kind, value in sorted(output.get("data", {}).items()):
            if kind in ("text/plain", "text/html"):
                yield value


# ---- run --------------------------------------------------------------------------------


def fill_shared_cells(notebook, path):
    """Write the setup cell, the launch links and the cell metadata that chapters share."""
    for cell in code_cells(notebook, "setup"):
        cell.source = setup_source()
    notebook.cells = [cell for cell in notebook.cells if "links" not in tags(cell)]
    links = nbformat.v4.new_markdown_cell(links_source(path), metadata={"tags": ["links"]})
    notebook.cells.insert(1, links)
    own = [cell for cell in notebook.cells if "caption" not in tags(cell)]  # see figures.py
    for number, cell in enumerate(own, start=1):
        cell.id = f"cell-{number:03d}"  # stable, so that a rerun changes no id
        cell.metadata.pop("lines_to_next_cell", None)
        if "check" in tags(cell) and "hide-input" not in tags(cell):  # it tells what is expected
            cell.metadata["tags"] = [*tags(cell), "hide-input"]
        if {"hide-cell", "check"} & set(tags(cell)):  # folded in Colab and JupyterLab as here
            cell.metadata["cellView"] = "form"
            cell.metadata["jupyter"] = {"source_hidden": True}
        if "check" in tags(cell):
            prompts = {"code_prompt_show": "Show the check", "code_prompt_hide": "Hide it"}
            cell.metadata.setdefault("mystnb", {}).update(prompts)
        if "hide-output" in tags(cell):  # the answer to a prediction
            cell.metadata["jupyter"] = {"outputs_hidden": True}
            # MyST-NB gives both folds of a cell one name; {type} is "source" or "output".
            show = "Show the {type}" if "hide-input" in tags(cell) else "Show what happens"
            prompts = {"code_prompt_show": show, "code_prompt_hide": "Hide it"}
            cell.metadata.setdefault("mystnb", {}).update(prompts)
        if "solution" in tags(cell):
            prompts = {"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide it"}
            cell.metadata.setdefault("mystnb", {}).update(prompts)


# Peak memory of the kernel in bytes. On Linux getrusage would also count what its parent held when
# it started the kernel: in a long test run that was 1.6 GB for a page that takes 0.3.
PEAK = """
import resource, sys
from pathlib import Path
status = Path("/proc/self/status")
if status.exists():
    print(int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024)
else:
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
print(sys.modules["sst_tutorial.phone"].spent if "sst_tutorial.phone" in sys.modules else 0)
"""


@contextmanager
def phone_figures():
    """Kernels that start here store each figure for phones too."""
    before = os.environ.get("SST_TUTORIAL_PHONE")
    os.environ["SST_TUTORIAL_PHONE"] = "1"
    try:
        yield
    finally:
        os.environ.pop("SST_TUTORIAL_PHONE")
        if before is not None:
            os.environ["SST_TUTORIAL_PHONE"] = before


def execute(notebook, path):
    """Execute in a fresh kernel; return the seconds, without the figures for phones, and the peak
    memory in GB."""
    probe = nbformat.v4.new_code_cell(PEAK)
    notebook.cells.append(probe)
    client = NotebookClient(
        notebook,
        timeout=180,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
    )
    start = time.perf_counter()
    with phone_figures():
        client.execute()
    seconds = time.perf_counter() - start
    notebook.cells.pop()
    memory, for_phones = map(float, probe.outputs[0].text.split())
    return seconds - for_phones, memory / 1e9


def clean(notebook):
    """Drop what differs between runs; return what the cells wrote on stderr."""
    complaints = []
    for cell in code_cells(notebook):
        complaints += [o.text for o in cell.outputs if o.get("name") == "stderr"]
        cell.outputs = [] if "live" in tags(cell) else [
            output for output in cell.outputs if output.get("name") != "stderr"
        ]
        for output in cell.outputs:
            output.get("metadata", {}).clear()
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
            if "text/html" in output.get("data", {}):
                output.data["text/html"] = stable_ids(output.data["text/html"])
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = with_palette(output.data["image/png"])
    return complaints


def with_palette(png):
    """Store a figure (base64) with 256 colours: it looks the same and is 3 times smaller.

    FASTOCTREE keeps the rare colours of a colour bar, and is 30 % smaller than the other ways. The
    picture for phones that travels inside (sst_tutorial/phone.py) goes along.
    """
    image = Image.open(io.BytesIO(base64.b64decode(png)))
    inside = PngInfo()
    for kind, data in image.private_chunks:
        inside.add(kind, data)
    few = image.convert("RGB").quantize(
        256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    packed = io.BytesIO()
    few.save(packed, "png", optimize=True, pnginfo=inside)
    return base64.b64encode(packed.getvalue()).decode()


def stable_ids(html):
    """Number the random ids that xarray puts in its tables."""
    seen = {}
    return UUID.sub(lambda m: seen.setdefault(m[0], f"id-{len(seen)}"), html)


def stamp(notebook, seconds, memory):
    """Keep only the metadata that we mean, with the hash and the measured cost."""
    seconds, memory = math.ceil(seconds / 5) * 5, math.ceil(memory * 10) / 10
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(
                r"^- \*\*Running:\*\*.*$",
                f"- **Running:** {seconds} s on 2 CPU cores, {memory:.1f} GB of memory",
                cell.source,
                flags=re.M,
            )
    notebook.metadata = nbformat.from_dict({
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "sst_tutorial": {
            "code_hash": code_hash(notebook), "seconds": seconds, "memory_gb": memory,
        },
    })


def run(path):
    """Execute the notebook at `path` and store its clean outputs; return its problems."""
    notebook = nbformat.read(path, as_version=4)
    notebook.nbformat, notebook.nbformat_minor = 4, 5  # cell ids need 4.5
    fill_shared_cells(notebook, path)
    seconds, memory = execute(notebook, path)
    for complaint in clean(notebook):
        print(f"{path.name}: stderr, not stored: {complaint.strip()}")
    notebook = with_newer_text(notebook, path)
    stamp(notebook, seconds, memory)
    nbformat.write(notebook, path)
    print(f"{path.name}: {seconds:.1f} s, {memory:.2f} GB, {path.stat().st_size / 1000:.0f} kB")
    today = datetime.date.today().isoformat()
    dated = any(today in text for cell in code_cells(notebook) for text in output_texts(cell))
    return problems(path) + ["an output shows the date of today"] * dated


def with_newer_text(notebook, path):
    """Put the outputs into the file as it is now: text may have been edited during the run."""
    newer = nbformat.read(path, as_version=4)
    newer.nbformat, newer.nbformat_minor = 4, 5
    fill_shared_cells(newer, path)
    if code_hash(newer) != code_hash(notebook):
        raise RuntimeError(f"the code of {path.name} was changed while it ran: run it again")
    for cell, ran in zip(code_cells(newer), code_cells(notebook), strict=True):
        cell.outputs, cell.execution_count = ran.outputs, ran.execution_count
    return newer


def same(path):
    """Execute without the real data; return where a page then says something else.

    Seconds differ from run to run and are not compared, nor are cells tagged 'timing'.
    """
    stored, fresh = (nbformat.read(path, as_version=4) for _ in range(2))
    with tempfile.TemporaryDirectory() as empty:
        os.environ["SST_TUTORIAL_DATA"] = empty
        execute(fresh, path)
    clean(fresh)
    return [
        f"cell {number} says something else without the real data: {now!r} for {then!r}"
        for number, (a, b) in enumerate(zip(stored.cells, fresh.cells, strict=True), start=1)
        if a.cell_type == "code" and "timing" not in tags(a)
        for then, now in [differing(text_of(a), text_of(b))]
        if then != now
    ]


def without_pictures(text):
    return re.sub(r"data:image/[^\"']+", "", text)


def text_of(cell):
    """The text of a cell's outputs without what cannot repeat: seconds and drawn pixels."""
    text = without_pictures("".join(output_texts(cell)))
    return re.sub(r"\d[\d.,]*(?= ?m?s\b)", "#", text)


def differing(then, now):
    """The first lines in which two texts differ, or two equal ones."""
    pairs = zip(f"{then}\n".splitlines(), f"{now}\n".splitlines(), strict=False)
    if then.count("\n") != now.count("\n"):
        return f"{then.count(chr(10))} lines", f"{now.count(chr(10))} lines"
    return next(((a, b) for a, b in pairs if a != b), ("", ""))


# ---- check ------------------------------------------------------------------------------


def problems(path):
    """Return what is wrong with the notebook at `path`, one sentence each; empty when fine."""
    notebook = nbformat.read(path, as_version=4)
    rules = [skeleton, shared_cells, freshness, code_style, without_data, outputs, alt_texts,
             predictions, exercises]
    found = [problem for rule in rules for problem in rule(notebook, path)]
    size = path.stat().st_size
    if size > MAX_BYTES:
        found.append(f"{size / 1000:.0f} kB is over {MAX_BYTES // 1000} kB: draw smaller figures")
    return found


def skeleton(notebook, path):
    if not re.fullmatch(r"[a-z][a-z0-9_]*", path.stem):
        yield f"the name {path.stem!r} should look like 'video_to_tokens', without a number"
    if len(headings(notebook, 1)) != 1:
        yield f"needs one title (#), has {headings(notebook, 1)}"
    found = headings(notebook, 2)
    expected = HEADINGS_BEFORE + found[len(HEADINGS_BEFORE):-len(HEADINGS_AFTER)] + HEADINGS_AFTER
    if found != expected:
        yield f"sections are {found}, should be {HEADINGS_BEFORE}, yours, {HEADINGS_AFTER}"
    for repeated in sorted({name for name in found if found.count(name) > 1}):
        yield f"section {repeated!r} stands twice"
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for label in ("Necessary", "Helpful", "Reading", "Running"):
        if f"- **{label}:**" not in text:
            yield f"needs a bullet '- **{label}:** ...'"
    if re.search(r"^(:::|```)\{", text, flags=re.M):
        yield "a MyST directive shows raw in Colab: use plain Markdown"


def shared_cells(notebook, path):
    setup = code_cells(notebook, "setup")
    if [cell.source for cell in setup] != [setup_source()] or code_cells(notebook)[0] != setup[0]:
        yield "the first code cell is not the setup cell of all chapters: run it again"
    links = [cell.source for cell in notebook.cells if "links" in tags(cell)]
    if links != [links_source(path)]:
        yield "the launch links are not those of this notebook: run it again"


def freshness(notebook, path):
    stored = notebook.metadata.get("sst_tutorial", {})
    if stored.get("code_hash") != code_hash(notebook):
        yield "the code changed after the outputs were stored: run it again"
        return
    limit = LONGER.get(path.stem, MAX_SECONDS)
    if stored["seconds"] > limit:
        yield f"took {stored['seconds']} s, the budget is {limit} s"
    if stored["memory_gb"] > MAX_MEMORY_GB:
        yield f"took {stored['memory_gb']} GB, the budget is {MAX_MEMORY_GB} GB"


def code_style(notebook, path):
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code" or "setup" in tags(cell):
            continue
        for line in cell.source.splitlines():
            if len(line) > MAX_COLUMNS:
                yield f"cell {number}: over {MAX_COLUMNS} columns ({len(line)}): {line.strip()}"


def without_data(notebook, path):
    """A page is the same with and without the real data: what runs on it is simulated, and what
    is real comes from experiments/results."""
    for number, cell in enumerate(notebook.cells, start=1):
        source = cell.source
        if path.stem in OWN_FILE:
            source = source.replace("open_sst", "")
        if cell.cell_type == "code" and (found := REAL_DATA.search(source)):
            yield f"cell {number} asks for real data ({found[0]}): read a stored result instead"


def outputs(notebook, path):
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code":
            continue
        if cell.execution_count is None and cell.source.strip():
            yield f"cell {number} was never run"
        if "check" in tags(cell) and not cell.outputs:
            yield f"cell {number} is a check that prints nothing"
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"cell {number} stopped with {output.ename}: {output.evalue}"
            if output.get("name") == "stderr":
                yield f"cell {number} stored stderr: run it again"
        for text in map(without_pictures, output_texts(cell)):
            for what, pattern in DIRTY.items():
                if re.search(pattern, text, flags=re.M):
                    yield f"cell {number} shows {what}: print something else"


def alt_texts(notebook, path):
    seen = set()
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code":
            continue
        meta = cell.metadata.get("mystnb", {})
        alt = meta.get("image", {}).get("alt", "").strip()
        images = sum("image/png" in output.get("data", {}) for output in cell.outputs)
        if images > 1:
            yield f"cell {number} draws {images} figures under one alt text: one figure a cell"
        if images and not alt:
            yield f"cell {number} draws a figure without alt text (mystnb.image.alt)"
        if alt and not images:
            yield f"cell {number} has alt text, but its figure is missing"
        if alt and (problem := vague(alt, meta.get("figure", {}).get("caption", ""))):
            yield f"cell {number}: alt text {problem}: {alt!r}"
        if alt and alt in seen:
            yield f"cell {number} repeats the alt text of another figure: {alt!r}"
        seen.add(alt)
        for html in output_texts(cell):
            yield from (f"cell {number}: {tag[:60]} has no name" for tag in nameless(html))


def vague(alt, caption):
    """Say why an alt text does not tell a blind reader what is seen, or return ''."""
    if not 60 <= len(alt) <= 500 or len(alt.split()) < 10:
        return "should have 10 words or more and 60 to 500 characters"
    if VAGUE_START.match(alt):
        return "should start with what is drawn, not with 'figure' or 'plot'"
    if alt == caption.strip():
        return "repeats the caption: say what one sees"
    if re.search(r"todo|alt text|lorem", alt, flags=re.I):
        return "is a placeholder"
    return ""


def nameless(html):
    """Return the <img> without alt and the sliders without a label in an HTML output."""
    images = [t for t in re.findall(r"<img\b[^>]*>", html) if not re.search(r'\balt="[^"]+"', t)]
    inputs = [t for t in re.findall(r"<input\b[^>]*>", html)
              if "range" in t and "aria-label" not in t]
    return images + inputs


def predictions(notebook, path):
    """What a reader shall predict must not stand open one cell below the question."""
    asked = None
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "markdown" and re.search(r"\*\*(Predict|Guess first)", cell.source):
            asked = number
        elif cell.cell_type == "code" and asked:
            if "hide-output" not in tags(cell):
                yield f"cell {number} shows the answer to the prediction of cell {asked}: " \
                      "give it the tag 'hide-output'"
            asked = None


def exercises(notebook, path):
    titles = [t for t in headings(notebook, 3) if t.startswith("Exercise")]
    if not 3 <= len(titles) <= 5:
        yield f"has {len(titles)} exercises ('### Exercise 1: ...'), should have 3 to 5"
    groups = {tag: code_cells(notebook, tag) for tag in ("exercise", "solution", "check")}
    for tag, cells in groups.items():
        if len(cells) != len(titles):
            yield f"has {len(titles)} exercises but {len(cells)} cells tagged {tag!r}"
            return
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    if text.count("**Expected:**") < len(titles):
        yield "an exercise does not say '**Expected:** ...'"
    rows = zip(titles, *groups.values(), strict=True)
    if not any("guess_" in cell.source for cell in groups["exercise"]):
        yield "no exercise asks to predict, change one thing, run and decide (guess_1 = ...)"
    for number, (title, *cells) in enumerate(rows, start=1):
        if not title.startswith(f"Exercise {number}: "):
            yield f"exercise {number} is called {title!r}"
        yield from exercise(number, *cells)


def exercise(number, stub, solution, check):
    """Compare one stub with its solution and look into its check cell."""
    answer, solved = f"answer_{number}", f"solution_{number}"
    if "hide-cell" not in tags(solution):
        yield f"exercise {number}: the solution is not collapsed (tag 'hide-cell')"
    if "hide-input" not in tags(check):
        yield f"exercise {number}: the check is not folded (run the notebook again)"
    shapes = [shape_of(cell.source, name) for cell, name in ((stub, answer), (solution, solved))]
    if None in shapes or shapes[0] != shapes[1]:
        yield f"exercise {number}: {answer} {shapes[0]} does not match {solved} {shapes[1]}"
    if "..." not in stub.source:
        yield f"exercise {number}: the stub leaves nothing to do ('...')"
    if not re.search(rf"\bcheck\(\s*{answer}, {solved},", check.source):
        yield f"exercise {number}: the check needs check({answer}, {solved}, ...)"
    shown = "".join(text for cell in (stub, solution, check) for text in output_texts(cell))
    if shown != f"Exercise {number}: not tried yet.\n":
        yield f"exercise {number}: an untouched page should show 'not tried yet' and no more"


def shape_of(source, name):
    """Return what `name` is at the top of a cell: its parameters, 'class', or None."""
    for node in ast.parse(TransformerManager().transform_cell(source)).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return f"({ast.unparse(node.args)})"
        if isinstance(node, ast.ClassDef) and node.name == name:
            return "class"
    return None


# ---- definitions for tests --------------------------------------------------------------


def definitions(chapter, *names):
    """Return `names` (classes, functions, UPPERCASE constants) as a chapter writes them out.

    Only imports, the named definitions and those they use are executed, so a test gets the
    class of the page without running the page. Raises KeyError for a name it lacks.
    """
    notebook = nbformat.read(CHAPTERS / f"{chapter}.ipynb", as_version=4)
    source = "\n".join(
        TransformerManager().transform_cell(cell.source) for cell in code_cells(notebook)
    )
    imports, defined = [], {}
    for node in ast.parse(source).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            imports.append(node)
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            defined[node.name] = node
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "").isupper():
            defined[node.targets[0].id] = node
    needed, waiting = set(), [*names]
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        used = {n.id for n in ast.walk(defined[name]) if isinstance(n, ast.Name)}
        waiting += used & defined.keys()
    body = imports + [node for name, node in defined.items() if name in needed]
    space = {"__name__": chapter}
    exec(compile(ast.Module(body, type_ignores=[]), f"{chapter}.ipynb", "exec"), space)
    return {name: space[name] for name in names}


# ---- the address ------------------------------------------------------------------------


def shown_addresses():
    """Yield each file, chapters aside, that shows the repository's address."""
    yield from (ROOT / name for name in ["README.md", "CITATION.cff"])
    yield from sorted(ROOT.glob("book/*.md"))


def spread_address(url=None):
    """Write the address `url` into pyproject.toml, and what stands there into all that shows it."""
    old = address()
    if url is not None:
        places.set_repository(url, ROOT)
    for path in shown_addresses():
        text = path.read_text(encoding="utf-8")
        new = text.replace(old, address())
        if new != text:
            path.write_text(new, encoding="utf-8")
            print(f"{path.relative_to(ROOT)}: now {address()}")
    for path in sorted(CHAPTERS.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        before = nbformat.writes(notebook)
        for cell in notebook.cells:
            if "setup" in tags(cell):
                cell.source = setup_source()
            if "links" in tags(cell):
                cell.source = links_source(path)
        if nbformat.writes(notebook) != before:
            nbformat.write(notebook, path)
            print(f"{path.relative_to(ROOT)}: links and setup cell of {places.release(ROOT)}")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["run", "check", "same", "address"])
    parser.add_argument("paths", nargs="*", help="notebooks; all chapters if none (address: a URL)")
    options = parser.parse_args(arguments)
    if options.what == "address":
        try:
            return spread_address(*options.paths[:1])
        except ValueError as error:
            parser.error(str(error))
    paths = [Path(p).resolve() for p in options.paths] or chapters()
    bad = 0
    for path in paths:
        for problem in {"run": run, "check": problems, "same": same}[options.what](path):
            print(f"{path.name}: {problem}")
            bad += 1
    print(f"{len(paths)} notebooks, {bad} problems")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
