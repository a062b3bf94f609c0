"""The ledger of the test takes lines and gives none back; the leaderboard has a row a setting."""

import json

import pytest

from sst_tutorial import cli, evaluation, ledger
from sst_tutorial.ledger import enter, leaderboard, read_ledger, report, table
from sst_tutorial.results import RESULTS

SENTENCE = "ocean-2 shipped because it was best on 2011-2012"


def scored(exam="smooth", validation=False):
    regimes = {"cloudy": {"methods": {"network": {"rmse": 0.2086123456}, "OI": {"rmse": 0.21}}}}
    return {"months": exam, "version": 1, "validation": validation, "question": "month",
            "regimes": regimes}  # fmt: skip


@pytest.fixture
def book(tmp_path, monkeypatch):
    path = tmp_path / "ledger.jsonl"
    monkeypatch.setenv("SST_TUTORIAL_LEDGER", str(path))
    return path


def test_a_look_is_entered_with_its_reason(book):
    report(scored(), SENTENCE, command="sst-tutorial evaluate")
    report(scored("benchmark"), "  the same again,\n to see whether it holds ")
    first, second = read_ledger()
    assert first["report"] == SENTENCE and first["by"] == ["OI", "network"]
    assert first["scores_K"] == {"cloudy": {"network": 0.208612, "OI": 0.21}}
    assert second["exam"] == "smooth"  # by its name of today
    assert second["report"] == "the same again, to see whether it holds"
    assert "opened 2 times: smooth 2" in table() and SENTENCE in table()


def test_weights_are_known_by_their_content(book):
    from sst_tutorial.weights import find_weights

    entry = report(scored(), SENTENCE, weights=find_weights(None))
    assert entry["weights"]["name"] == "ocean-1"
    assert len(entry["weights"]["digest"]) == len(entry["weights"]["settings"]) == 12


@pytest.mark.parametrize("do", ["change", "delete", "swap", "spoil"])
def test_what_was_written_stays(book, do):
    for n in range(3):
        enter({"exam": "smooth", "by": [], "date": "", "report": f"look {n}"})
    lines = book.read_text().splitlines()
    if do == "change":
        lines[0] = lines[0].replace("look 0", "look 7")
    elif do == "delete":
        del lines[1]
    elif do == "swap":
        lines[1:] = lines[:0:-1]
    else:
        lines[1] = lines[1][:-5]
    book.write_text("\n".join(lines) + "\n")
    for use in (read_ledger, lambda: report(scored(), SENTENCE)):
        with pytest.raises(ValueError, match="nothing may be changed there"):
            use()
    assert book.read_text().splitlines() == lines


def test_what_is_no_report(book):
    for text in ("", "best one", "  a  b c\n d "):
        with pytest.raises(ValueError, match="must be a sentence of 5 words"):
            report(scored(), text)
    for other in (scored(validation=True), scored("simulated")):
        with pytest.raises(ValueError, match="are no test"):
            report(other, SENTENCE)
    assert not book.exists() and read_ledger() == []
    assert table([]) == "The test was never opened."


@pytest.fixture
def evaluated(monkeypatch):
    """Stands for minutes of work; what it was asked."""
    asked = []

    def evaluate(methods, regimes, months, validation, daily):
        asked.append(months)
        return scored(months, validation)

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    monkeypatch.setattr(evaluation, "table", lambda results: "scores")
    return asked


def test_the_command_line_enters_a_report(book, evaluated, capsys):
    words = ["evaluate", "--methods", "gaussian", "network"]
    assert cli.main([*words, "--report", SENTENCE]) == 0
    assert "look 1 at the test" in capsys.readouterr().out
    (entry,) = read_ledger()
    assert entry["command"].startswith("sst-tutorial evaluate --methods gaussian network --report")
    assert entry["weights"]["name"] == "ocean-1"
    assert cli.main(words) == 0
    assert "no ledger knows" in capsys.readouterr().out and len(read_ledger()) == 1
    assert cli.main([*words, "--validation"]) == 0
    assert "ledger" not in capsys.readouterr().out


def test_a_bad_report_is_told_before_the_work(book, evaluated, capsys):
    words = ["evaluate", "--methods", "gaussian"]
    for more, told in (
        (["--report", "short"], "5 words"),
        (["--report", SENTENCE, "--validation"], "are no test"),
        (["--report", SENTENCE, "--months", "simulated"], "are no test"),
    ):
        assert cli.main([*words, *more]) == 2 and told in capsys.readouterr().err
    book.write_text("{}\n")
    assert cli.main([*words, "--report", SENTENCE]) == 2
    assert "nothing may be changed" in capsys.readouterr().err
    assert evaluated == []


def test_the_ledger_of_the_book_is_whole_and_names_its_records():
    path = RESULTS / ledger.NAME
    if not path.is_file():
        pytest.skip("the ledger comes with a clone of the book")
    entries = read_ledger(path)
    assert len(entries) >= 9 and all(entry["report"] for entry in entries)
    assert [e["date"] for e in entries] == sorted(e["date"] for e in entries)
    for entry in entries:
        for name in entry.get("record", "").split(", "):
            assert not name.endswith(".json") or (RESULTS / name).is_file()


def run_of(folder, name, seed, cloudy, lr=1e-3, done=True, **other):
    (folder / f"{name}-{seed}").mkdir(parents=True)
    record = {"settings": {"seed": seed, "lr": lr}, "validation": {"cloudy": cloudy, "clear": 0.1},
              "done": done, "seconds": 60, "parameters": {"network": 5, "first_guess": 2},
              "machine": {"gpu": None, "cores": 2}, "command": f"train {seed}", "commit": "abc"}
    (folder / f"{name}-{seed}" / "run.json").write_text(json.dumps(record | other))


def test_a_row_of_the_leaderboard_has_the_spread_of_its_seeds(tmp_path):
    for seed, cloudy in ((2, 0.22), (0, 0.18), (1, 0.2)):
        run_of(tmp_path / "q", "wide", seed, cloudy)
    run_of(tmp_path / "q", "narrow", 0, 0.19, lr=2e-3)
    run_of(tmp_path / "q", "killed", 0, 0.01, lr=3e-3, done=False)
    (tmp_path / "q" / "wide-1" / "weights.safetensors").write_bytes(b"weights")
    ((months, rows),) = leaderboard(tmp_path).items()
    assert months == "cloudy, clear" and [row["name"] for row in rows] == ["q/narrow", "q/wide"]
    narrow, wide = rows
    assert narrow["spread_K"] is None and wide["spread_K"] == pytest.approx(0.01)
    assert wide["rmse_K"] == pytest.approx(0.15) and wide["seeds"] == [0, 1, 2]
    assert wide["by_set_K"] == pytest.approx({"cloudy": 0.2, "clear": 0.1})
    assert wide["command"] == "train 0" and wide["commit"] == "abc" and wide["parameters"] == 7
    assert wide["weights"][::2] == [None, None] and len(wide["weights"][1]) == 12


def test_runs_that_were_judged_by_other_months_stand_apart(tmp_path):
    run_of(tmp_path / "one", "a", 0, 0.2)
    run_of(tmp_path / "two", "b", 0, 0.1, lr=2e-3)
    run_of(tmp_path / "one", "c", 0, 0.1, lr=3e-3, validation={"moving_day": 0.4})
    tables = leaderboard(tmp_path, {"two": "older months"})
    assert {k: [row["name"] for row in rows] for k, rows in tables.items()} == {
        "cloudy, clear": ["one/a"],
        "cloudy, clear, older months": ["two/b"],
        "moving_day": ["one/c"],
    }
    assert leaderboard(tmp_path / "nothing") == {}
