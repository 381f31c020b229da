"""Mutants of a module: its text with one small fault in it.

Most of the faults are mutmut's. Its own runner leaves out properties and constants, which are half of what the
planners decide with, so only its operators are used. What it does not do is added: conditions that are always or never
met, one operand of `and` and `or`, elements of a collection and statements left out, and `any` for `all`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import libcst as cst
import libcst.matchers as m
from mutmut.mutation.mutators import mutation_operators, operator_string
from typing_extensions import override

_TWINS = {"any": "all", "all": "any", "min": "max", "max": "min"}
_NEVER_RUN = (cst.Annotation, cst.Import, cst.ImportFrom, cst.Decorator, cst.Param)
_TEXT = m.Expr(m.SimpleString() | m.ConcatenatedString())
_FOR_TYPES = m.AnnAssign(annotation=m.Annotation(m.Name("TypeAlias"))) | m.Assign(value=m.Call(m.Name("TypeVar")))
_ANY_VALUE = m.Assign(value=m.Call(m.Name("auto")))


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one fault."""

    path: Path
    scope: str | None
    """Qualified name of the function that the fault is in; None where it is in none."""
    before: str
    """The changed lines as they are, as one."""
    after: str
    """What the fault makes of them."""
    text: str
    """All of the mutated module."""


def mutants_of(path: Path) -> Iterator[Mutant]:
    """All mutants of a module, from top to bottom."""
    module = cst.parse_module(path.read_text())
    seen = set()
    for number, statement in enumerate(module.body):
        finder = _Finder()
        statement.visit(finder)
        code = module.code_for_node(statement)
        for fault in finder.faults:
            mutated = statement.deep_replace(fault.old, fault.new)
            assert isinstance(mutated, cst.SimpleStatementLine | cst.BaseCompoundStatement)
            before, after = _changed(code, module.code_for_node(mutated))
            if (fault.scope, before, after) not in seen:
                seen.add((fault.scope, before, after))
                body = [*module.body[:number], mutated, *module.body[number + 1 :]]
                yield Mutant(path, fault.scope, before, after, module.with_changes(body=body).code)


@dataclass(frozen=True, slots=True)
class _Fault:
    old: cst.CSTNode
    new: cst.CSTNode
    scope: str | None


@dataclass
class _Finder(cst.CSTVisitor):
    faults: list[_Fault] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    functions: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    @override
    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, _NEVER_RUN) or m.matches(node, _TEXT | _FOR_TYPES | _ANY_VALUE):
            return False
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            if self.functions == 0:
                self.names.append(node.name.value)
            self.functions += isinstance(node, cst.FunctionDef)
        scope = ".".join(self.names) if self.functions else None
        self.faults += (_Fault(old, new, scope) for old, new in _faults(node))
        return True

    @override
    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self.functions -= isinstance(original_node, cst.FunctionDef)
            if self.functions == 0:
                self.names.pop()


def _faults(node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            for number, new in enumerate(operator(node)):
                # One wrong string is as good as three.
                if operator is not operator_string or number == 0:
                    yield node, new
    match node:
        case cst.If() | cst.CompIf():
            yield from ((node.test, cst.Name(value)) for value in ("True", "False"))
        case cst.BooleanOperation():
            # The brackets around both may be what lets them stand on two lines.
            for operand in (node.left, node.right):
                yield node, operand.with_changes(lpar=[*node.lpar, *operand.lpar], rpar=[*operand.rpar, *node.rpar])
        case cst.Call(func=cst.Name(value=name)) if name in _TWINS:
            yield node.func, cst.Name(_TWINS[name])
        case cst.List() | cst.Set() | cst.Tuple() if len(node.elements) > 1:
            for number in range(len(node.elements)):
                yield node, node.with_changes(elements=[*node.elements[:number], *node.elements[number + 1 :]])
        case cst.Expr():
            yield node, cst.Pass()
        case _:
            pass


def _changed(old: str, new: str) -> tuple[str, str]:
    lines = list(difflib.ndiff(old.splitlines(), new.splitlines()))
    return _one_line(lines, "- "), _one_line(lines, "+ ")


def _one_line(lines: list[str], mark: str) -> str:
    return " ".join(line.removeprefix(mark).strip() for line in lines if line.startswith(mark))
