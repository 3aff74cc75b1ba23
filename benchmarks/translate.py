"""Write a workload's equations as other software takes them: Python, or SBML.

What needs parameters only is computed once a subject and given to the equations as
further parameters, as vtrial does with its own.
"""

import importlib.util
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from vtrial.model.model import Model
from vtrial.model.tree import Call, Expression, Name, Number, Statement, names_in

MATHML = "http://www.w3.org/1998/Math/MathML"
SBML = "http://www.sbml.org/sbml/level3/version1/core"
_TAGS = {"+": "plus", "-": "minus", "*": "times", "/": "divide", "^": "power"}
_TAGS |= {"negative": "minus", "exp": "exp"}


def constants_of(model: Model) -> list[Statement]:
    """List the assignments that need parameters only."""
    known, found = {p.name for p in model.parameters}, []
    for statement in _kind(model, "assign"):
        if {name.name for name in names_in(statement.expression)} <= known:
            known.add(statement.name)
            found.append(statement)
    return found


def parameters_of(model: Model) -> list[str]:
    """Name the parameters, then what is computed from them."""
    return [*(p.name for p in model.parameters), *(s.name for s in constants_of(model))]


def python_source(model: Model, library: str) -> str:
    """Write functions of lists of states and parameters; `exp` is a library's."""
    derivatives = {s.name: s.expression for s in _kind(model, "derivative")}
    rates = [python(derivatives[state]) for state in model.states]
    rates[0] += " + rate_"
    starts = {s.name: python(s.expression) for s in _kind(model, "initial")}
    seen = [output.equals for output in model.outputs]
    given = [p.name for p in model.parameters]
    needs = _steps(model, derivatives.values())
    return "\n".join(
        [
            f"from {library} import exp",
            "def constants(p_):",
            *_body([(given, "p_")], constants_of(model)),
            f"    return [{', '.join(parameters_of(model))}]",
            "def initial(p_):",
            *_body([(parameters_of(model), "p_")], []),
            f"    return [{', '.join(starts.get(s, '0.0') for s in model.states)}]",
            "def derivative(t, y_, p_, rate_):",
            *_body([(model.states, "y_"), (parameters_of(model), "p_")], needs),
            f"    return [{', '.join(rates)}]",
            "def observe(t, y_, p_):",
            *_body(
                [(model.states, "y_"), (parameters_of(model), "p_")],
                _steps(model, [Name(name) for name in seen]),
            ),
            f"    return [{', '.join(seen)}]",
        ]
    )


def numba_source(model: Model) -> str:
    """Write the derivative as numbalsoda takes it, compiled when it is loaded.

    The rate of infusion comes after the parameters.
    """
    names = {"y_": model.states, "p_": [*parameters_of(model), "rate_"]}
    derivatives = {s.name: s.expression for s in _kind(model, "derivative")}
    rates = [python(derivatives[state]) for state in model.states]
    rates[0] += " + rate_"
    return "\n".join(
        [
            "from math import exp",
            "from numba import cfunc",
            "from numbalsoda import lsoda_sig",
            "@cfunc(lsoda_sig)",
            "def derivative(t, y_, d_, p_):",
            *(f"    {n} = {a}[{i}]" for a in names for i, n in enumerate(names[a])),
            *(
                f"    {s.name} = {python(s.expression)}"
                for s in _steps(model, derivatives.values())
            ),
            *(f"    d_[{i}] = {rate}" for i, rate in enumerate(rates)),
        ]
    )


def load_source(text: str, name: str) -> ModuleType:
    """Load written Python as a module."""
    path = Path(tempfile.mkdtemp()) / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def python(tree: Expression) -> str:
    """Write an expression in Python."""
    if isinstance(tree, Number):
        return repr(float(tree.value))
    if isinstance(tree, Name):
        return tree.name
    parts = [python(argument) for argument in tree.arguments]
    if tree.function == "negative":
        return f"(-{parts[0]})"
    if tree.function == "exp":
        return f"exp({parts[0]})"
    return f"({parts[0]} {tree.function.replace('^', '**')} {parts[1]})"


def sbml_source(model: Model) -> str:
    """Write the equations in SBML; `rate_` is the rate of infusion."""
    derivatives = {s.name: s.expression for s in _kind(model, "derivative")}
    steps = _steps(model, derivatives.values())
    fixed, moving = parameters_of(model), [*(s.name for s in steps), *model.states]
    first = model.states[0]
    derivatives[first] = Call("+", (derivatives[first], Name("rate_")))
    lines = [_declared(name, "true") for name in fixed]
    lines += [_declared(name, "false") for name in [*moving, "rate_"]]
    rules = [_rule("assignmentRule", s.name, s.expression) for s in steps]
    rules += [_rule("rateRule", s, derivatives[s]) for s in model.states]
    return "".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<sbml xmlns="{SBML}" level="3" version="1"><model id="workload">',
            "<listOfParameters>",
            *lines,
            "</listOfParameters><listOfRules>",
            *rules,
            "</listOfRules></model></sbml>",
        ]
    )


def _declared(name: str, constant: str) -> str:
    return f'<parameter id="{name}" value="0" constant="{constant}"/>'


def _rule(kind: str, name: str, tree: Expression) -> str:
    math = f'<math xmlns="{MATHML}">{_mathml(tree)}</math>'
    return f'<{kind} variable="{name}">{math}</{kind}>'


def _mathml(tree: Expression) -> str:
    if isinstance(tree, Number):
        return f"<cn>{float(tree.value)!r}</cn>"
    if isinstance(tree, Name) and tree.name == "t":
        url = "http://www.sbml.org/sbml/symbols/time"
        return f'<csymbol encoding="text" definitionURL="{url}">t</csymbol>'
    if isinstance(tree, Name):
        return f"<ci>{tree.name}</ci>"
    parts = "".join(_mathml(argument) for argument in tree.arguments)
    return f"<apply><{_TAGS[tree.function]}/>{parts}</apply>"


def _kind(model: Model, kind: str) -> list[Statement]:
    return [s for s in model.statements if s.kind == kind]


def _steps(model: Model, wanted: Iterable[Expression]) -> list[Statement]:
    """List what is computed on the way to expressions, constants apart."""
    needed = {name.name for tree in wanted for name in names_in(tree)}
    constants, found = {s.name for s in constants_of(model)}, []
    for statement in reversed(_kind(model, "assign")):
        if statement.name in needed and statement.name not in constants:
            needed |= {name.name for name in names_in(statement.expression)}
            found.append(statement)
    return found[::-1]


def _body(
    given: list[tuple[Iterable[str], str]], statements: list[Statement]
) -> list[str]:
    """Write the lines that unpack lists and compute statements."""
    lines = [f"    {', '.join(names)}, = {source}" for names, source in given]
    return lines + [f"    {s.name} = {python(s.expression)}" for s in statements]
