from pathlib import Path

import pytest

from .explanations import PLANNING, explanations
from .mutations import mutants_of

ALL = explanations()


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("line", "afters"),
    [
        ("x = a < 2", {"x = a < 3", "x = a <= 2", "x = None"}),
        ("x = a and b", {"x = a or b", "x = a", "x = b", "x = None"}),
        ("x = any(a)", {"x = any(None)", "x = all(a)", "x = None"}),
        ("x = {'a', 'b'}", {"x = {'XXaXX', 'b'}", "x = {'a', 'XXbXX'}", "x = {'b'}", "x = {'a', }", "x = None"}),
        ("x = [y for y in a if y]", {"x = [y for y in a if True]", "x = [y for y in a if False]", "x = None"}),
        ("if a: pass", {"if True: pass", "if False: pass"}),
        ("yield a", {"pass"}),
        ('"""Says what it does."""', set()),
        ("x: TypeAlias = 'a'", set()),
    ],
)
def test_a_line_has_these_faults(line: str, afters: set[str], tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(f"class A:\n    @property\n    def f(self, n=1):\n        {line}\n")
    found = list(mutants_of(path))
    assert {(mutant.scope, mutant.before, mutant.after) for mutant in found} == {
        ("A.f", line, after) for after in afters
    }
    for mutant in found:
        compile(mutant.text, path, "exec")


def test_a_fault_outside_of_functions_is_in_none(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("X = 1\n\n\nclass A:\n    y: int = 2\n")
    assert {(mutant.scope, mutant.after) for mutant in mutants_of(path)} == {
        (None, "X = 2"),
        (None, "X = None"),
        (None, "y: int = 3"),
        (None, "y: int = None"),
    }


@pytest.mark.parametrize("module", sorted({explanation.module for explanation in ALL}))
def test_what_is_explained_is_there(module: str) -> None:
    text = one_line((PLANNING / module).read_text())
    missing = [e for e in ALL if e.module == module and one_line(e.before) not in text]
    assert not missing, "take them out of explained.toml"


def test_everything_is_explained_in_a_sentence() -> None:
    assert all(explanation.why.endswith(".") for explanation in ALL)
