"""`sst-tutorial evaluate`: an exam, and a line of the ledger where it is the test."""

import warnings

from sst_tutorial.commands.options import add_command
from sst_tutorial.commands.outputs import checked_output

EVALUATE = """\
examples:
  sst-tutorial evaluate --regime cloudy                the benchmark off Tasmania, if it is here
  sst-tutorial evaluate --months simulated --methods network gaussian "optimal interpolation"
  sst-tutorial evaluate --methods network --model runs/quick/weights.safetensors --out scores.json
  sst-tutorial evaluate --months moving --validation --daily --methods gaussian "linear in time"

exams for --months, and their groups for --regime:
  smooth     48 months of real analyses off Tasmania, 2013-2016: cloudy, clear
  lasting    the same under clouds that stay for "1 day", "2 days", 3, 4, 6, "8 days"
  moving     192 windows of seas whose eddies and fronts travel: "8 km"
  fine       real fine maps, judged by what was seen below moved clouds
  elsewhere  seas and settings that no network here was trained on
  simulated  simulated seas, which need no data: cloudy, clear
Exams are opened to report; choose by their twins of other years or seeds, --validation. With
--report "what was chosen, and why" the look is entered in the ledger of the test.

RMSE of monthly means in K (or of maps of day 16, --daily) with its 95 % interval, RMSE where a cell
was seen on 3 days or fewer, bias, RMSE of gradients, cells resolved, and seconds a month."""


def add(commands) -> None:
    p = add_command(
        commands, "evaluate", _evaluate, "score the network and the classical baselines", EVALUATE
    )
    p.add_argument(
        "--months",
        choices=("smooth", "lasting", "moving", "fine", "elsewhere", "simulated", "benchmark"),
        default="smooth",
        metavar="EXAM",
        help="see below (%(default)s; its name was benchmark, which still goes)",
    )
    p.add_argument(
        "--regime", nargs="+", metavar="NAME", help="groups of the exam (default: all of them)"
    )
    p.add_argument("--validation", action="store_true", help="the exam's twin, to choose by")
    p.add_argument("--daily", action="store_true", help="maps of one day instead of the month")
    p.add_argument(
        "--methods", nargs="+", metavar="NAME", help="network and baselines (default: all)"
    )
    p.add_argument("--model", metavar="NAME|FILE", help="weights of the network (default: shipped)")
    p.add_argument("--out", metavar="FILE.json", help="write all numbers here as well")
    p.add_argument("--overwrite", action="store_true", help="replace FILE.json if it exists")
    p.add_argument(
        "--report", metavar="SENTENCE", help="what was chosen and why, for the ledger of the test"
    )


def _evaluate(a) -> None:
    from sst_tutorial.baselines import BASELINES
    from sst_tutorial.evaluation import evaluate, table
    from sst_tutorial.reconstruction import as_method
    from sst_tutorial.results import write_results

    names = a.methods or ["network", *BASELINES]
    unknown = [name for name in names if name != "network" and name not in BASELINES]
    if unknown:
        raise ValueError(
            f"--methods {unknown[0]!r} is unknown; there are: network, {', '.join(BASELINES)}"
        )
    if a.model is not None and "network" not in names:
        raise ValueError(f"--model {a.model} has no use without network among --methods; add it")
    out = None if a.out is None else checked_output(a.out, a.overwrite, suffixes=(".json",))
    if a.report is not None:
        _check_report(a)
    methods = {n: as_method(a.model) if n == "network" else BASELINES[n] for n in names}
    regimes = None if a.regime in (None, ["both"]) else a.regime
    of_test_years = a.months in ("smooth", "benchmark", "lasting") and not a.validation
    if of_test_years and "network" in names:
        _warn_of_test_years(a.model)
    looks = []  # at most one, entered when the test is opened
    opening = None if a.report is None else lambda: looks.append(_open(a, names))
    results = evaluate(methods, regimes, a.months, a.validation, a.daily, opening)
    print(table(results))
    if out is not None:
        write_results({"command": a.command_line, **results}, out)
    _enter_scores(a, looks, results)


def _check_report(a) -> None:
    """What is wrong with --report is told before minutes of work."""
    from sst_tutorial.ledger import checked_sentence, is_locked, read_ledger

    checked_sentence(a.report)
    if not is_locked(a.months, a.validation):
        raise ValueError("--report: twins and simulated months are no test; leave it away")
    read_ledger()


def _open(a, names) -> str:
    """The look goes into the ledger before a score is seen: what is killed then has looked too."""
    from sst_tutorial.exams import EXAMS
    from sst_tutorial.ledger import open_test
    from sst_tutorial.weights import find_weights

    weights = find_weights(a.model) if "network" in names else None
    question = "day" if a.daily else "month"
    version = EXAMS[a.months].version
    return open_test(a.months, version, question, names, a.report, a.command_line, weights)


def _enter_scores(a, looks, results) -> None:
    """The scores of the look into the ledger, or a line that says that it was none of a report."""
    from sst_tutorial.ledger import enter_scores, is_locked, ledger_path, read_ledger

    for look in looks:
        groups = results["regimes"].items()
        scores = {g: {n: s["rmse"] for n, s in part["methods"].items()} for g, part in groups}
        enter_scores(look, scores)
        print(f"{ledger_path()}: look {len(read_ledger())} at the test")
    if a.report is None and is_locked(a.months, a.validation):
        print(f"The test {a.months} was opened, and no ledger knows: choose by --validation, and")
        print('report with --report "what was chosen, and why".')


def _warn_of_test_years(model) -> None:
    """A network that learned from the benchmark's years must not be judged on them."""
    from sst_tutorial.benchmark import TEST_YEARS
    from sst_tutorial.weights import find_weights, read_metadata

    years = read_metadata(find_weights(model))["about"].get("years")
    first, last = TEST_YEARS
    for name, span in years.items() if isinstance(years, dict) else ():
        match span:  # anything may stand there
            case [int(begin), int(end)] if begin <= last and first <= end:
                warnings.warn(
                    f"--model {model} saw {begin}-{end} ({name}), the benchmark is {first}-{last}: "
                    "if its data were those of the benchmark, the score says nothing",
                    stacklevel=2,
                )
