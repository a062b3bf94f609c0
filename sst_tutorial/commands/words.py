"""What the program says: one line to stderr, in the words of the shell."""

import re
import sys

PROGRAM = "sst-tutorial"


def say(message: str) -> None:
    print(f"{PROGRAM}: {' '.join(message.split())}", file=sys.stderr)


def with_options(message: str) -> str:
    """`units='K'`, as the functions say it to their callers, in the shell's words: `--units K`."""
    message = re.sub(r"\bbias=True", "--bias", message)
    message = re.sub(r"\bperiod=", "--judge-from, --judge-to: ", message)
    options = "variable|units|quality|date|cadence|transform"

    def option(found):  # '>=3' keeps its quotes, a shell would take it for a file
        name, value = found.groups()
        return f"--{name} {value if re.search('[<> ]', value) else value.strip(chr(39))}"

    return re.sub(rf"\b({options})=('[^']*'|[\w.-]+)", option, message)


def show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    say(f"warning: {with_options(str(message))}")
