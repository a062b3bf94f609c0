"""The command `sst-tutorial`: everything the package does that a shell user wants.

Parsing is cheap: torch and xarray are imported by the subcommand that needs them. A mistake of the
user ends in one line on stderr and exit status 2, never in a traceback. Each command has its file
in `commands`.
"""

import argparse
import contextlib
import io
import os
import re
import shlex
import signal
import sys
import threading
import warnings

from sst_tutorial.commands import (
    compare,
    doctor,
    download,
    evaluate,
    export,
    fine_tune,
    judge,
    reconstruct,
    run,
    simulate,
    train,
)
from sst_tutorial.commands.words import PROGRAM, say, show_warning, with_options

# In the order of `sst-tutorial --help`.
COMMANDS = (
    reconstruct, doctor, simulate, download,
    train, fine_tune, run,
    compare, evaluate, judge, export,
)  # fmt: skip
INTERRUPTED = "interrupted; no output was left half written"


def main(argv: list[str] | None = None) -> int:
    """Run `sst-tutorial` with these arguments (None = those of the shell); the exit status.

    0 = done; 1 = `doctor` found something; 2 = the user's mistake, one line on stderr says which;
    130 = interrupted.
    """
    out, err = _Quiet(sys.stdout), _Quiet(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _interruptible():
        try:
            return _main(argv)
        finally:  # a closed pipe is met here, where it is silenced, not at the interpreter's exit
            sys.stdout.flush()


def _main(argv: list[str] | None) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show_warning
        try:
            arguments = _parser().parse_args(argv)
            words = sys.argv[1:] if argv is None else argv
            arguments.command_line = shlex.join([PROGRAM, *words])
            return arguments.run(arguments) or 0
        except KeyboardInterrupt:
            say(INTERRUPTED)
            return 130
        except (ValueError, OSError, ImportError) as error:
            say(f"error: {with_options(str(error))}")
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, MemoryError) or re.search("(out of|allocate) memory", str(error)):
                say(f"error: out of memory ({error}); choose fewer months or a smaller region")
            elif "NetCDF" in str(error):
                say(f"error: {error}: an input breaks off or cannot be decoded; fetch it again")
            else:
                raise  # no mistake of the user: the traceback tells more
        return 2


@contextlib.contextmanager
def _interruptible():
    """Ctrl-C raises KeyboardInterrupt, but not amid an import: it ends the program at once there.

    torch cannot bear an exception while it is loaded (the process aborts with a C++ message), and
    who imports has nothing half written: see `whole.py`.
    """
    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # ignored in the background, or the caller looks after it
        return
    signal.signal(signal.SIGINT, _interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupted(number, frame):
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            say(INTERRUPTED)
            os._exit(130)
        frame = frame.f_back
    raise KeyboardInterrupt


class _Quiet:
    """An output that a closed pipe (`sst-tutorial ... | head`) silences: the work goes on."""

    def __init__(self, stream):
        self.stream = io.StringIO() if stream is None else stream  # None: closed from the start

    def write(self, text):
        with self._named(), contextlib.suppress(BrokenPipeError):
            return self.stream.write(text)

    def flush(self):
        try:
            with self._named():
                self.stream.flush()
        except BrokenPipeError:  # what is still in the buffer goes nowhere, at the exit too
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    @contextlib.contextmanager
    def _named(self):
        """What cannot be written is the output of the command, not one of its files."""
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            name = getattr(self.stream, "name", "the output")
            raise OSError(f"{name} cannot be written: {error.strerror}") from error

    def __getattr__(self, name):
        return getattr(self.stream, name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        PROGRAM,
        description="Complete monthly maps of sea surface temperature from gappy daily ones.",
        epilog=f"`{PROGRAM} COMMAND --help` has examples. Start with `{PROGRAM} doctor`.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        from sst_tutorial import __version__

        print(f"{PROGRAM} {__version__}")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
