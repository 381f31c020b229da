"""The operator, run so that it can tell where its memory was taken: `python -m benchmarks.memory.traced FILE`.

At SIGUSR1 it writes into the file, as JSON, the bytes that are held from each line of code, and the number of objects
of each type that the garbage collector knows.
"""

from __future__ import annotations

import gc
import json
import signal
import sys
import tracemalloc
from collections import Counter
from pathlib import Path


def _report(*_: object) -> None:
    gc.collect()
    lines = tracemalloc.take_snapshot().statistics("lineno")
    held = {f"{line.traceback[0].filename}:{line.traceback[0].lineno}": line.size for line in lines}
    types = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    Path(sys.argv[1]).write_text(json.dumps({"held": held, "types": types}))


if __name__ == "__main__":
    tracemalloc.start()
    signal.signal(signal.SIGUSR1, _report)
    # What it imports is traced too.
    from rayserve_operator.__main__ import main

    main()
