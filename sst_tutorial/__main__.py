"""The program `sst-tutorial`, also `python -m sst_tutorial`: from here on Ctrl-C is looked after.

It imports nothing before, since the first tenth of a second is when a mistyped command is stopped.
"""

import sys


def main() -> int:
    """`cli.main` with the arguments of the shell; its exit status."""
    try:
        from sst_tutorial.cli import main as run

        return run()
    except KeyboardInterrupt:
        print("sst-tutorial: interrupted; no output was left half written", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
