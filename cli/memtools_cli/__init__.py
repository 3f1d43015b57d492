"""The command line: parse, call the library, print."""

import contextlib
import gc
import signal

# Nothing that imports make is garbage, and looking for it is a sixth of the start-up time.
# memtools_cli.main switches it on again.
gc.disable()

# An interrupt during the imports ends the process at once, without a traceback. memtools_cli.main
# switches that back, too.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    with contextlib.suppress(ValueError):  # in a thread that is not the main one
        signal.signal(signal.SIGINT, signal.SIG_DFL)
