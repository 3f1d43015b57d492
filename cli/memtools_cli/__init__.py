"""The command line: parse, call the library, print."""

import gc

# Nothing that imports make is garbage, and looking for it is a sixth of the start-up time.
# memtools_cli.main switches it on again.
gc.disable()
