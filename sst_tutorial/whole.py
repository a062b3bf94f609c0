"""A file appears whole or not at all: the one way in which this package writes."""

import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole(path) -> Iterator[Path]:
    """A temporary name beside `path`; what is written under it gets its own name at the end.

    Whatever happens, no temporary file stays. Where `path` is a link, the file that it leads to is
    replaced. Raises OSError, with the name, for what could not be written.
    """
    place, part = Path(path).resolve(), None
    with undisturbed():
        try:
            handle, part = tempfile.mkstemp(".part", f".{place.name}.", place.parent)
            os.close(handle)
            yield Path(part)
            os.chmod(part, 0o666 & ~_umask())  # mkstemp makes private files
            os.replace(part, place)
        except (OSError, RuntimeError) as error:  # the latter from the NetCDF library
            raise OSError(f"{path} cannot be written ({error}); is the disk full?") from error
        finally:
            if part is not None:
                Path(part).unlink(missing_ok=True)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that end a program wait until the block is done.

    Killed inside it, a program would leave a temporary file behind; and an exception (Ctrl-C)
    between two lines of xarray can leave a lock closed on which the program then waits for ever.
    """
    came = []
    stops = [getattr(signal, s) for s in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, s)]
    if threading.current_thread() is not threading.main_thread():
        stops = []  # only the main thread gets signals
    before = {stop: signal.signal(stop, lambda number, _: came.append(number)) for stop in stops}
    try:
        yield
    finally:
        for stop, handler in before.items():
            signal.signal(stop, handler or signal.SIG_DFL)  # None: not one of Python
        for number in came:
            signal.raise_signal(number)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
