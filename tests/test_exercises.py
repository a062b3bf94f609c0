"""Each exercise refuses two plausible wrong answers in words, and accepts a second right one.

The answers stand in tests/answers, one file a chapter: "# 2 wrong | words of the refusal" or
"# 2 right" heads each. An exercise is run in the page's own code: the statements that its cells
need and no others, some of them made lighter here.
"""

import ast
import contextlib
import io
import re
import warnings
from functools import cache
from pathlib import Path

import matplotlib
import nbformat
import notebooks
import pytest
import torch
from IPython.core.inputtransformer2 import TransformerManager

import sst_tutorial.coast
import sst_tutorial.runs
from sst_tutorial.exercises import check

matplotlib.use("agg")
sst_tutorial.runs.random_coasts = cache(sst_tutorial.runs.random_coasts)  # seconds a training
ANSWERS = Path(__file__).parent / "answers"
CHAPTERS = [path.stem for path in notebooks.chapters()]
DRAWS = re.compile(r"\b(plt|plotting)\.|\bax(es)?\b|\bplot_|\b(print|frames)\(|interact|"
                   r"testing\.assert")
# Lighter stand-ins: (text of the page, what this test takes for it).
LIGHTER = {
    "without_labels": [("LEARN, STEPS = N - 16, 120", "LEARN, STEPS = N - 16, 2")],
    "gpu_run": [('"steps": 8, "batch_size": 8, "eval_every": 8',
                 '"steps": 1, "batch_size": 2, "eval_every": 1')],
    "all_together": [("STEPS, SMALL = 60", "STEPS, SMALL = 2"), ("(64,), (128,)", "(32,), (48,)"),
                     ("times = {name: min(times[name], spent[name]) for name in parts}", "pass")],
    "loss_and_loop": [("steps=40", "steps=2"), ("eval_every=10", "eval_every=1"),
                      ("step == 27", "step == 1"), ("in (10, 40)", "in (1, 2)"),
                      ("outcome=what_became", "outcome=lambda _: 'same'")],
    "back_to_pixels": [("steps=100", "steps=20")],
    "nothing_can_be_won": [("sea(20, seed=1)", "sea(1, seed=1)"),
                           ("sea(10, seed=2)", "sea(1, seed=2)"),
                           ("N, c, sigma = 200_000", "N, c, sigma = 20_000"),
                           ("moving(40_000)", "moving(4000)"),
                           ("range(1, steps + 1)", "[*range(1, 20), steps]"),
                           ("outcome=change, tolerance=0.02",
                            "outcome=lambda _: 'smaller', tolerance=1e-4")],
    "teach_your_sea": [("spin_up_days=40", "spin_up_days=5"),
                       ("steps=80, lr=1e-2", "steps=3, lr=1e-2"),
                       ("steps=80, lr=5e-3", "steps=3, lr=5e-2"),
                       ("outcome=change", "outcome=lambda _: 'worse'")],
    "telling_place": [("SIDE = 6 ", "SIDE = 3 "), ("steps=260", "steps=120"),
                      ("tolerance=0.05", "tolerance=0.001")],
    "looking_across": [("STEPS = 170", "STEPS = 30"), ("tolerance=0.02", "tolerance=0.001"),
                       ('outcome=what_twins_cost, known="in between"',
                        "outcome=lambda _: 'in between'")],
    "which_days": [("(40, 31, 64, 64)", "(16, 31, 64, 64)"), ("30 * 256", "12 * 256"),
                   ("batch=256", "batch=64"), ("tolerance=0.02", "tolerance=0.001")],
    "baselines": [("cover=0.9, seed=11", "cover=0.95, seed=11")],
    "whole_machine": [('settings_of("quick", seed=0)',
                       'settings_of("quick", seed=0, steps=2, pieces=8, eval_every=2)')],
}


@cache
def exercises_of(chapter):
    """{number: (stub, solution, check)} and the other code of the page, as sources."""
    notebook = nbformat.read(notebooks.CHAPTERS / f"{chapter}.ipynb", as_version=4)
    lighter = LIGHTER.get(chapter, [])
    whole = "\n".join(cell.source for cell in notebook.cells)
    assert all(old in whole for old, _ in lighter), f"{chapter} says it in other words now"

    def python(cell):
        source = TransformerManager().transform_cell(cell.source)
        for old, new in lighter:
            source = source.replace(old, new)
        return source

    groups = [map(python, notebooks.code_cells(notebook, tag)) for tag in
              ("exercise", "solution", "check")]
    others = [python(cell) for cell in notebooks.code_cells(notebook)
              if not {"exercise", "solution", "check", "setup", "live"} & set(notebooks.tags(cell))]
    return dict(enumerate(zip(*groups, strict=True), start=1)), "\n".join(others)


def names(node, context):
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)
            and isinstance(n.ctx, context)}


def needs(*body):
    """Names that statements take from outside, in their order."""
    bound, free = set(), set()
    for node in body:
        own = {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
        for n in ast.walk(node):
            if isinstance(n, ast.comprehension):
                own |= names(n.target, ast.Store)
        taken = names(node, ast.Load)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            own |= names(node, ast.Store)
        elif isinstance(node, (ast.For, ast.With)):  # a name may be read before it is bound
            heads = [node.iter] if isinstance(node, ast.For) else [
                item.context_expr for item in node.items]
            own |= names(node.target, ast.Store) if isinstance(node, ast.For) else set()
            taken = needs(*node.body).union(*(names(head, ast.Load) for head in heads))
        free |= taken - own - bound
        bound |= gives(node)
    return free


def gives(node):
    """Names that a top-level statement binds or changes."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    bound = names(node, ast.Store)
    for inner in ast.walk(node):
        if isinstance(inner, (ast.Subscript, ast.Attribute)) and isinstance(inner.ctx, ast.Store):
            bound |= names(inner, ast.Load)
        if isinstance(inner, ast.Call) and isinstance(node, (ast.Expr, ast.For, ast.With)):
            bound |= names(inner, ast.Load)  # fit(net), weights.zero_()
    return bound


def asserts(node):
    inside = node.body if isinstance(node, ast.For) else []
    return isinstance(node, ast.Assert) or bool(inside) and all(map(asserts, inside))


def computing(body):
    """The statements that neither draw, print nor assert, nor call a function that draws."""
    defines, imports = (ast.FunctionDef, ast.ClassDef), (ast.Import, ast.ImportFrom)
    draw = {node.name for node in body
            if isinstance(node, defines) and DRAWS.search(ast.unparse(node))}
    return [node for node in body if isinstance(node, defines + imports) or not (
        asserts(node) or DRAWS.search(ast.unparse(node)) or names(node, ast.Load) & draw)]


def lighter_check(*arguments, known=None, **options):
    """`check`; with lighter stand-ins the run need not end as the page says."""
    check(*arguments, **options)


@cache
def space_of(chapter):
    """The names that the exercises of a chapter find when a reader comes to them."""
    cells, page = exercises_of(chapter)
    statements = computing(ast.parse(page).body)
    needed, before = set(), None
    for group in cells.values():
        needed |= needs(*(node for source in group for node in ast.parse(source).body
                          if not isinstance(node, ast.Assert)))
    answers = ANSWERS / f"{chapter}.py"
    if answers.exists():
        needed |= set().union(*(needs(node) for node in ast.parse(answers.read_text()).body))
    while needed != before:
        before = set(needed)
        for node in statements:
            if gives(node) & needed:
                needed |= needs(node)
    body = [node for node in statements if gives(node) & needed]
    space = {"__name__": chapter, "check": lighter_check}
    setup = "import torch, numpy as np, sst_tutorial\nimport matplotlib.pyplot as plt"
    exec(setup, space)
    sst_tutorial.coast.use_shipped_coastline()
    torch.manual_seed(0)
    for node in body:
        with contextlib.suppress(NameError):  # of an axis or a line that only a figure has
            exec(compile(ast.Module([node], []), f"{chapter}.ipynb", "exec"), space)
    return space


def answers_of(chapter):
    """Yield (number, "wrong" or "right", words of the refusal, source)."""
    text = (ANSWERS / f"{chapter}.py").read_text(encoding="utf-8")
    parts = re.split(r"^# (\d+) (wrong|right)(?: \| (.*))?$", text, flags=re.M)[1:]
    for number, kind, words, source in zip(*(parts[i::4] for i in range(4)), strict=True):
        yield int(number), kind, (words or "").strip(), source


def say(chapter, number, answer=None):
    """What the check of an exercise prints for the source of an answer; None = untouched."""
    stub, solution, checked = exercises_of(chapter)[0][number]
    space = dict(space_of(chapter))
    told = io.StringIO()
    keep = [node for node in ast.parse(checked).body if not isinstance(node, ast.Assert)]
    for node in ast.walk(ast.Module(keep, [])):  # the page's own assertions ran with the page
        if isinstance(node, ast.With):
            node.body = [inner for inner in node.body if not isinstance(inner, ast.Assert)]
    with contextlib.redirect_stdout(told), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for source in (stub, answer or "", solution):
            exec(source, space)
        exec(compile(ast.Module(keep, []), "check", "exec"), space)
    return told.getvalue()


CASES = [(chapter, *case) for chapter in CHAPTERS if (ANSWERS / f"{chapter}.py").exists()
         for case in answers_of(chapter)]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_exercise_has_two_wrong_answers_and_a_right_one(chapter):
    cases = [case for case in CASES if case[0] == chapter]
    for number in exercises_of(chapter)[0]:
        kinds = [kind for _, n, kind, _, _ in cases if n == number]
        assert kinds.count("wrong") >= 2 and kinds.count("right") >= 1, f"exercise {number}"
        assert all(words for _, n, kind, words, _ in cases if kind == "wrong" and n == number)


@pytest.mark.parametrize("chapter, number, kind, words, answer", CASES, ids=lambda value: (
    str(value) if isinstance(value, int) or str(value).isidentifier() else ""))
def test_answer(chapter, number, kind, words, answer):
    told = say(chapter, number, answer)
    if kind == "right":
        assert told.startswith(f"Exercise {number} holds"), told
    else:
        assert told.startswith(f"Exercise {number} does not hold yet: "), told
        assert words in told, told


# ---- the words of the check ---------------------------------------------------------------


def answer_3(x):
    return ...


def twice(x):
    return 2 * x


def as_answer(function):
    """`function` under the name by which `check` knows the number of the exercise."""
    def answer_3(*arguments):
        return function(*arguments)
    return answer_3


@pytest.mark.parametrize("answer, words", [
    (lambda x: None, "`return` missing"),
    (lambda x: -2 * x, "its sign is wrong"),
    (lambda x: 6 * x, "off by a factor of 3"),
    (lambda x: 2 * x + 273.15, "off by 273 everywhere"),
    (lambda x: (2 * x)[:1], "its shape is (1, 3), it should be (2, 3)"),
    (lambda x: 0 * x, "zero everywhere"),
    (lambda x: 0 * x + 2.5, "the same number everywhere"),
    (lambda x: torch.where(x == 5, torch.nan, 2 * x), "NaN in 1 of 6 entries"),
    (lambda x: (2 * x).sqrt(), "the square root of"),
    (lambda x: (2 * x) ** 2, "the square of"),
    (lambda x: x.add_(x), "it changes its input"),
    (lambda x: x.nothing, "it stops with AttributeError"),
    (lambda x: "twice", "it returns str, not Tensor"),
    (lambda x: torch.where(x == 5, 3.0, 2 * x), "it is wrong in 17% of its entries, by up to 7"),
    (lambda x: torch.tensor([[2.0, 4, 6], [8, 10, 12]]),
     "right on the given input, but not on another: "),
])
def test_what_is_wrong_is_said(capsys, answer, words):
    x = torch.tensor([[1.0, 2, 3], [4, 5, 6]])
    check(as_answer(answer), twice, (x,), (x.flip(0),))
    told = capsys.readouterr().out
    assert told.startswith("Exercise 3 does not hold yet: ") and words in told
    assert x.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_land_must_stay_land(capsys):
    x = torch.tensor([1.0, torch.nan])
    check(as_answer(lambda x: 2 * x.nan_to_num()), twice, (x,), (x + 1,))
    assert "numbers in 1 entries that should be NaN, as on land" in capsys.readouterr().out


@pytest.mark.parametrize("right, wrong, words", [
    (True, False, "it says False"), ([True, False], [False, False], "1 of 2 entries are wrong"),
    ("sea", "land", "it says 'land'"), ({"a": 1}, {"b": 1}, "its keys are ['b']"),
    ([[1.0], [1.0, 2]], [[1.0], [1.0, 3]], "part 1: "), ((1, "a"), (1,), "should return 2 parts"),
])
def test_results_of_other_kinds(capsys, right, wrong, words):
    other = as_answer(lambda first: wrong if first else 0)
    check(other, lambda first: right if first else 0, (1,), (0,))
    assert words in capsys.readouterr().out
    check(as_answer(lambda first: right if first else 0),
          lambda first: right if first else 0, (1,), (0,))
    assert "holds" in capsys.readouterr().out


def test_an_untouched_stub_says_so_and_the_solution_runs_in_silence(capsys):
    ran = []
    check(answer_3, lambda x: ran.append(x) or x, (1.0,), (2.0,))
    assert capsys.readouterr().out == "Exercise 3: not tried yet.\n" and ran == [1.0, 2.0]
    with pytest.raises(ZeroDivisionError):  # a solution that fails stops the page
        check(answer_3, lambda x: 1 / x, (1.0,), (0.0,))


def test_inputs_that_cannot_tell_a_constant_are_refused():
    with pytest.raises(AssertionError, match="choose others"):
        check(answer_3, lambda x: 5, (1.0,), (2.0,))


def test_a_guess_comes_before_the_run_is_told(capsys):
    def ask(answer, guess):
        check(answer, twice, (1.0,), (2.0,), guess=guess, choices=("more", "less"),
              outcome=lambda results: "more" if results[1] > results[0] else "less")
        return capsys.readouterr().out

    assert ask(answer_3, ...) == ask(answer_3, "less") == "Exercise 3: not tried yet.\n"
    right = as_answer(twice)
    assert "Set guess_3 to one of 'more', 'less'" in ask(right, ...)
    assert "Set guess_3" in ask(right, "perhaps") and "the run says" not in ask(right, ...)
    assert ask(right, "less").endswith("You guessed 'less', the run says 'more'.\n")
    assert "does not hold" in ask(as_answer(lambda x: x), "more")
    with pytest.raises(AssertionError, match="the page explains 'less', not 'more'"):
        check(answer_3, twice, (1.0,), (2.0,), choices=("more", "less"),
              outcome=lambda results: "more", known="less")
    with pytest.raises(AssertionError, match="no choice"):
        check(answer_3, twice, (1.0,), (2.0,), choices=("a",), outcome=lambda results: "b")


def test_the_seed_is_always_the_same_and_nobody_elses_changes():
    torch.manual_seed(5)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    check(as_answer(lambda n: torch.rand(n)), lambda n: torch.rand(n), (3,), (4,))
    assert torch.equal(torch.rand(1), drawn)
