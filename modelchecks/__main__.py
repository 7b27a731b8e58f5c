"""The program: `modelchecks`, or `python -m modelchecks`."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading

from modelchecks.cli import main


def run() -> None:
    """Run the shell door and end the process with its code, without taking all of it apart.

    Most of what a gate imports stays to the end: looking for garbage in it takes a fifth of the
    start, and freeing it one by one more than a second after the verdict. Exit functions run and
    output is flushed as at any end, and for a thread that has work left the usual end waits.
    """
    gc.set_threshold(50_000, 20, 100)
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, int):
            _leave(end.code)
        raise


def _leave(code: int) -> None:
    threads = (thread for thread in threading.enumerate() if thread is not threading.main_thread())
    if not all(thread.daemon for thread in threads):
        return
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            # The usual end tells, by its own exit code.
            return
    os._exit(code)


if __name__ == "__main__":
    run()
