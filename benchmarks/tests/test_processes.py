import os
import subprocess
import sys

from benchmarks.processes import consumption, cpu_seconds, memory_kb, tree

TICKS = os.sysconf("SC_CLK_TCK")


def test_a_tree_holds_all_below_its_root() -> None:
    assert tree(2, {1: 0, 2: 1, 3: 2, 4: 3, 5: 1}) == {2, 3, 4}


def test_time_counts_children_that_have_ended() -> None:
    fields = ["S", *["0"] * 10, str(TICKS), str(2 * TICKS), str(3 * TICKS), str(4 * TICKS), "20"]
    assert cpu_seconds(f"7 (a name) with (parentheses) {' '.join(fields)}") == 10.0
    assert cpu_seconds(f"7 (name) {' '.join(fields)}", with_ended=False) == 3.0


def test_memory_is_what_is_resident() -> None:
    assert memory_kb("Name:\tpython\nVmHWM:\t  300 kB\nVmRSS:\t  200 kB\n") == (200, 300)
    assert memory_kb("Name:\tpython\nState:\tZ (zombie)\n") == (0, 0)


def test_a_child_counts_with_its_parent() -> None:
    alone = consumption(os.getpid())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        together = consumption(os.getpid())
        below = consumption(child.pid)
    assert together.rss_kb >= below.rss_kb
    assert alone.peak_kb >= alone.rss_kb > 0
