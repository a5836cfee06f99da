"""Functions of ours as a file that stands alone: with all that they call, and none of what they don't.

So what a bundle does to an image is not written twice: it is the very code that the app runs.
"""

import ast
import builtins
import importlib
import inspect
from collections.abc import Callable
from typing import Any

OURS = "core."


class _Module:
    """The source of one of our modules by the names that it defines and imports."""

    def __init__(self, name: str) -> None:
        module = importlib.import_module(name)
        self.text = inspect.getsource(module)
        self.tree = ast.parse(self.text)
        self.defined: dict[str, ast.stmt] = {}
        self.imported: dict[str, tuple[ast.stmt, ast.alias]] = {}
        self.set_elsewhere: dict[str, ast.stmt] = {}  # Image.MAX_IMAGE_PIXELS = …, by what is set
        for statement in self.tree.body:
            match statement:
                case ast.FunctionDef() | ast.ClassDef():
                    self.defined[statement.name] = statement
                case ast.Assign(targets=targets):
                    for target in targets:
                        for node in ast.walk(target):
                            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                                self.defined[node.id] = statement
                        if isinstance(target, ast.Attribute):
                            self.set_elsewhere[ast.unparse(target)] = statement
                case ast.Import(names=names) | ast.ImportFrom(names=names):
                    for alias in names:
                        self.imported[alias.asname or alias.name] = (statement, alias)


def carried(*roots: Callable[..., Any] | type, is_whole_file: bool = True, doc: str = "") -> str:
    """The source of these functions and classes, and of whatever of ours they need, in the order in which they can be run.

    is_whole_file: with the imports, else without: for a file that has them.
    """
    modules: dict[str, _Module] = {}
    wanted: dict[str, set[str]] = {}
    imports: set[str] = set()
    waiting = [(root.__module__, root.__name__) for root in roots]
    while waiting:
        place, name = waiting.pop()
        module = modules.setdefault(place, _Module(place))
        if name in wanted.setdefault(place, set()):
            continue
        if name in module.defined:
            wanted[place].add(name)
            statement = module.defined[name]
            needed = _names_in(statement)
            for target, setting in module.set_elsewhere.items():
                if target.partition(".")[0] in needed:
                    wanted[place].add(target)
                    needed |= _names_in(setting)
            waiting += [(place, other) for other in needed - {name}]
        elif name in module.imported:
            statement, alias = module.imported[name]
            if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith(OURS):
                waiting.append((statement.module or "", alias.name))
            else:
                imports.add(ast.unparse(_only(statement, alias)))
        else:
            assert hasattr(builtins, name), f"{name} of {place} is known nowhere"
    bodies = [
        _body(modules[place], wanted[place]) for place in sorted(modules, key=lambda p: p != "core.errors") if wanted.get(place)
    ]
    head = [f'"""{doc}"""', ""] if doc else []
    head += ["from __future__ import annotations", "", *sorted(imports), "", ""] if is_whole_file else []
    return "\n".join([*head, "\n\n\n".join(bodies)]) + ("\n" if is_whole_file else "")


def _names_in(statement: ast.stmt) -> set[str]:
    """What running it needs: names that it reads and does not bind itself; annotations are no more than words."""
    tree = _Unannotated().visit(ast.parse(ast.unparse(statement)))
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    bound |= {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    if isinstance(statement, ast.Assign):
        bound = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)} | {
            node.id
            for inner in ast.walk(tree)
            if isinstance(inner, ast.comprehension)
            for node in ast.walk(inner.target)
            if isinstance(node, ast.Name)
        }
    return read - bound


class _Unannotated(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(value="")
        self.generic_visit(node)
        return node


def _only(statement: ast.stmt, alias: ast.alias) -> ast.stmt:
    if isinstance(statement, ast.ImportFrom):
        return ast.ImportFrom(module=statement.module, names=[alias], level=0)
    return ast.Import(names=[alias])


def _body(module: _Module, names: set[str]) -> str:
    """The chosen statements as they are written, with the comments right above them."""
    chosen = {id(s): s for name in names if (s := module.defined.get(name) or module.set_elsewhere.get(name))}
    lines = module.text.splitlines()
    parts: list[str] = []
    before: ast.stmt | None = None
    for statement in sorted(chosen.values(), key=lambda s: s.lineno):
        first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))])
        while first > 1 and lines[first - 2].startswith("#"):
            first -= 1
        text = "\n".join(lines[first - 1 : statement.end_lineno])
        is_plain = isinstance(statement, ast.Assign) and isinstance(before, ast.Assign)
        parts.append(text if before is None else ("\n" if is_plain else "\n\n\n") + text)
        before = statement
    return "".join(parts)
