"""The ledger of the test takes lines and gives none back."""

import pytest

from sst_tutorial import cli, evaluation, ledger
from sst_tutorial.ledger import enter, enter_scores, open_test, read_ledger
from sst_tutorial.results import RESULTS
from sst_tutorial.weights import DEFAULT, find_weights

SENTENCE = "ocean-2 shipped because it was best on 2011-2012"


def look(exam="smooth", sentence=SENTENCE, **about):
    return open_test(exam, 1, "month", ["network", "OI"], sentence, **about)


@pytest.fixture
def book(tmp_path, monkeypatch):
    path = tmp_path / "ledger.jsonl"
    monkeypatch.setenv("SST_TUTORIAL_LEDGER", str(path))
    return path


def test_a_look_is_entered_before_its_scores(book):
    opened = look(command="sst-tutorial evaluate")
    (entry,) = read_ledger()
    assert entry["report"] == SENTENCE and entry["by"] == ["OI", "network"]
    assert entry["scores_K"] is None  # all that a run leaves that is killed now
    other = look("benchmark", "  the same again,\n to see whether it holds ")
    enter_scores(opened, {"cloudy": {"network": 0.2086123456, "OI": 0.21}})
    first, second = read_ledger()
    assert first["scores_K"] == {"cloudy": {"network": 0.208612, "OI": 0.21}}
    assert second["exam"] == "smooth"  # by its name of today
    assert second["report"] == "the same again, to see whether it holds"
    assert second["scores_K"] is None and opened != other


def test_weights_are_known_by_their_content(book):
    look(weights=find_weights(None))
    (entry,) = read_ledger()
    assert entry["weights"]["name"] == DEFAULT
    assert len(entry["weights"]["digest"]) == len(entry["weights"]["settings"]) == 12


def test_scores_of_a_look_that_is_not_there(book):
    enter_scores("0123456789ab", {})
    with pytest.raises(ValueError, match="0123456789ab.*nothing may be changed"):
        read_ledger()


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
    for use in (read_ledger, look):
        with pytest.raises(ValueError, match="nothing may be changed there"):
            use()
    assert book.read_text().splitlines() == lines


def test_what_is_no_report(book):
    for text in ("", "best one", "  a  b c\n d "):
        with pytest.raises(ValueError, match="must be a sentence of 5 words"):
            look(sentence=text)
    with pytest.raises(ValueError, match="exam='simulated': simulated months are no test"):
        look("simulated")
    assert not book.exists() and read_ledger() == []


@pytest.fixture
def evaluated(monkeypatch):
    """Stands for minutes of work; how many looks the ledger had when it began to score."""
    asked = []

    def evaluate(methods, regimes, months, validation, daily, opening=None):
        if opening is not None:
            opening()
        asked.append(len(read_ledger()))
        methods = {"network": {"rmse": 0.2086123456}, "gaussian": {"rmse": 0.21}}
        return {"months": months, "regimes": {"cloudy": {"methods": methods}}}

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    monkeypatch.setattr(evaluation, "table", lambda results: "scores")
    return asked


def test_the_command_line_enters_a_report(book, evaluated, capsys):
    words = ["evaluate", "--methods", "gaussian", "network"]
    assert cli.main([*words, "--report", SENTENCE]) == 0
    assert "look 1 at the test" in capsys.readouterr().out
    (entry,) = read_ledger()
    assert entry["command"].startswith("sst-tutorial evaluate --methods gaussian network --report")
    assert (entry["weights"]["name"], entry["exam"], entry["version"]) == (DEFAULT, "smooth", 1)
    assert entry["scores_K"] == {"cloudy": {"network": 0.208612, "gaussian": 0.21}}
    assert evaluated == [1]  # it was there before the scores
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
