"""One check for every exercise of the book.

A reader's function is compared with the solution on the input that the page names and on others
that it does not, and what is wrong is said in words. Nothing here prints a solution.
"""

import copy
import re

import numpy as np
import torch
from torch import Tensor

TOLERANCE = 1e-3  # of the largest number of the solution
LONGEST = 90  # characters of an error message


class NotTried(Exception):
    """The stub still returns `...`."""


def check(answer, solution, given, *others, through=None, tolerance=TOLERANCE,
          guess=None, choices=(), outcome=None, known=None):  # fmt: skip
    """Print whether `answer` (named answer_N) does what `solution` does, in one line or two.

    given, others: argument tuples; the reader knows the first only.
    through: f(function, *arguments) -> what is compared; None = what the function returns.
    tolerance: of a difference, as a share of the largest number of the solution.
    guess, choices, outcome: the reader's prediction, the words it may be, and the function that
    tells from the list of results which of them came true.
    known: the outcome that the page explains; AssertionError where the solution has another.

    A stub gives "not tried yet", after the solution was run in silence. AssertionError where the
    solution gives the same result for all inputs, since they could then not tell a constant.
    """
    number = re.fullmatch(r"answer_(\d+)", answer.__name__)[1]
    say = f"Exercise {number}"
    wanted = [_run(solution, through, arguments)[0] for arguments in (given, *others)]
    assert any(_difference(w, wanted[0], tolerance) for w in wanted[1:]), (
        "the solution gives the same for all inputs: choose others"
    )
    if outcome is not None:
        came_true = outcome(wanted)
        assert came_true in choices, "no choice came true"
        assert known in (None, came_true), f"the page explains {known!r}, not {came_true!r}"
    try:
        results, wrong = _compare(answer, through, (given, *others), wanted, tolerance)
    except NotTried:
        print(f"{say}: not tried yet.")
        return
    if wrong:
        print(f"{say} does not hold yet: {wrong}.")
    elif outcome is not None and (guess is ... or guess not in choices):
        words = ", ".join(map(repr, choices))
        print(f"{say}: the run is right. Set guess_{number} to one of {words}, then check again.")
    else:
        print(f"{say} holds, on the given input and on another.")
        if outcome is not None:
            print(f"You guessed {guess!r}, the run says {outcome(results)!r}.")


def _compare(answer, through, inputs, wanted, tolerance):
    """(results of `answer`, what is wrong with the first one that differs or "")."""
    results = []
    for number, (arguments, want) in enumerate(zip(inputs, wanted, strict=True)):
        try:
            got, changed = _run(answer, through, arguments)
        except NotTried:
            raise
        except Exception as error:
            first = (str(error).strip().splitlines() or [""])[0][:LONGEST]
            wrong = f"it stops with {type(error).__name__}: {first}"
        else:
            wrong = _difference(got, want, tolerance)
            if changed and not wrong:
                wrong = "the result is right, but it changes its input; work on a copy"
            results.append(got)
        if wrong:
            seen = "right on the given input, but not on another: " if number else ""
            return results, seen + wrong
    return results, ""


def _run(function, through, arguments):
    """(what is compared, whether `function` changed an argument), always from the same seed."""
    changed = []

    def watched(*values):
        mine = _copied(values)
        result = function(*mine)
        if result is ...:
            raise NotTried
        changed.append(not _alike(mine, values))
        return result

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        result = watched(*arguments) if through is None else through(watched, *arguments)
    return result, any(changed)


def _copied(values):
    """Copies of the arguments; a tensor that shall get a gradient stays itself."""
    return [value if isinstance(value, Tensor) and value.requires_grad else copy.deepcopy(value)
            for value in values]


def _alike(a, b):
    """Whether two arguments still hold the same; what is no data counts as unchanged."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_alike(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_alike, a, b))
    if hasattr(a, "identical"):  # xarray
        return a.identical(b)
    if isinstance(a, torch.nn.Module) or _numbers(a) is None:
        return True
    x, y = _numbers(a), _numbers(b)
    return x.shape == y.shape and np.array_equal(x, y, equal_nan=True)


# ---------------------------------------------------------------- a difference, in words


def _difference(got, want, tolerance):
    """What is wrong with `got`, as the end of a sentence; "" where nothing is."""
    if got is None and want is not None:
        return "it returns None; is the `return` missing?"
    if isinstance(want, dict):
        return _parts(got, want, tolerance, dict, want.keys())
    if isinstance(want, (list, tuple)) and _numbers(want) is None:
        return _parts(got, want, tolerance, (list, tuple), range(len(want)))
    if isinstance(want, str):
        return "" if got == want else f"it says {got!r}"
    x, y = _numbers(got), _numbers(want)
    if x is None or y is None:
        return f"it returns {type(got).__name__}, not {type(want).__name__}"
    if x.shape != y.shape:
        return f"its shape is {x.shape}, it should be {y.shape}"
    return _numbers_differ(x, y, tolerance)


def _parts(got, want, tolerance, kind, keys):
    if not isinstance(got, kind) or len(got) != len(want):
        return f"it should return {len(want)} parts"
    if isinstance(want, dict) and got.keys() != want.keys():
        return f"its keys are {list(got)}, they should be {list(want)}"
    for key in keys:
        if wrong := _difference(got[key], want[key], tolerance):
            return f"part {key!r}: {wrong}"
    return ""


def _numbers(value):
    """Anything numerical as an array (complex, bool and others kept apart by kind), or None."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # a data set; ragged; parts with gradients
        return None
    if array.dtype.kind == "b":
        return array
    return array.astype(float) if array.dtype.kind in "iuf" else None


def _numbers_differ(x, y, tolerance):
    if "b" in (x.dtype.kind, y.dtype.kind):
        wrong = (x != y).sum()
        if not wrong:
            return ""
        return f"{wrong} of {y.size} entries are wrong" if y.ndim else f"it says {x}"
    if lost := (np.isnan(x) & ~np.isnan(y)).sum():
        where = f" in {lost} of {y.size} entries that should hold a number" if y.ndim else ""
        return f"it is NaN{where}"
    if filled := (~np.isnan(x) & np.isnan(y)).sum():
        return f"it has numbers in {filled} entries that should be NaN, as on land"
    known = ~np.isnan(y)
    if _close(x[known], y[known], tolerance):
        return ""
    return _what_kind(x, y, known, tolerance)


def _close(x, y, tolerance):
    if x.size == 0 or np.array_equal(x, y):
        return True
    return bool(np.abs(x - y).max() <= tolerance * max(np.abs(y).max(), 1e-12))


def _what_kind(x, y, known, tolerance):
    """Name the slip, if it is one of the common ones."""
    a, b = x[known], y[known]
    if _close(-a, b, tolerance):
        return "its size is right, its sign is wrong"
    if not np.any(a):
        return "it is zero everywhere" if y.ndim else "it is zero"
    if not np.isfinite(a).all():
        return "it is infinite somewhere"
    if _close(a**2, b, tolerance):
        return "it is the square root of what it should be"
    if (a >= 0).all() and _close(np.sqrt(a), b, tolerance):
        return "it is the square of what it should be"
    factor = (a @ b) / (b @ b) if np.any(b) else np.inf
    if np.isfinite(factor) and factor and _close(a / factor, b, tolerance):
        return f"it is off by a factor of {factor:.3g}"
    if y.ndim == 2 and y.shape[0] == y.shape[1] and _close(x.T[known], b, tolerance):
        return "its rows and columns are swapped"
    if y.ndim and _close(a - (a - b).mean(), b, tolerance):
        return f"it is off by {(a - b).mean():.3g} everywhere"
    if y.ndim and a.size and np.ptp(a) == 0:
        return "it is the same number everywhere"
    share = (np.abs(a - b) > tolerance * np.abs(b).max()).mean()
    size = np.abs(a - b).max()
    where = f" in {share:.0%} of its entries" if y.ndim else ""
    return f"it is wrong{where}, by up to {size:.2g}"
