"""Draws what failed out of the log of experiments/README.md into the page book/log.md.

    python book/failures.py

An entry begins with "- **DATE, title.**"; what stands behind "**Failed:**", up to its end, is a
row of the page, newest first.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "book" / "log.md"
BEGIN, END = "<!-- drawn by book/failures.py -->\n", "<!-- to here -->"
ENTRY = re.compile(r"^- \*\*(\d{4}-\d\d-\d\d), (.+?)\.?\*\*(.*?)(?=^- \*\*\d{4}|\Z)", re.M | re.S)


def failed() -> list[tuple[str, str, str]]:
    """(date, title, what failed) of each entry that has it, in the order of the log."""
    log = (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")
    log = log.split("## Log, what failed too", 1)[1].split("\n## ", 1)[0]
    found = []
    for date, title, text in ENTRY.findall(log):
        words = " ".join(text.split()).partition("**Failed:** ")[2]
        if words:
            found.append((date, title, words[0].upper() + words[1:]))
    return found


def page() -> str:
    """The page with the rows as the log has them now."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    rows = "\n".join(f"- **{date}, {title}:** {words}" for date, title, words in failed())
    return f"{before}{BEGIN}\n{rows}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
