"""Kernels are compiled when they are needed and not before, kept where that can be, and can do without Numba's help."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import refdiff

KERNELS = Path(refdiff.__file__).parent / "kernels"
FILES = [path for path in sorted(KERNELS.glob("*.py")) if "import compiled" in path.read_text()]

TRAIN = """
import numpy as np
from refdiff import Schedule
from refdiff.network import MLP, fit
rng = np.random.default_rng(0)
model = MLP(2, rng=rng, width=4, depth=2, time_dim=4, dtype=np.float64, residual=True, activation="gelu", point_dim=2)
for record in fit(model, rng.standard_normal((20, 2)), Schedule.vp(10), rng, 5, batch_size=8, compiled=COMPILED):
    pass
print(repr(float(model.theta @ model.theta)))
"""


def run(code, **environment):
    """Return what a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ | environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_there_are_kernels():
    assert {path.stem for path in FILES} == {"chains", "network"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_kernel_uses_nothing_of_another_file_since_the_cache_on_disk_would_not_notice_a_change(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("refdiff"):
            assert node.module == "refdiff.kernels.build"
            assert {alias.name for alias in node.names} == {"compiled"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_kernel_is_a_plain_function_rebound_at_the_end_of_its_file(path):
    tree = ast.parse(path.read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    bare = [node.name for node in functions if not node.decorator_list]
    rebound = {
        name.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        for name in ast.walk(target)
        if isinstance(name, ast.Name)
    }
    overloaded = {
        argument.id
        for node in functions
        for call in node.decorator_list
        if isinstance(call, ast.Call)
        for argument in call.args
        if isinstance(argument, ast.Name)
    }
    assert set(bare) <= rebound | overloaded
    assert max(node.lineno for node in functions) < min(
        node.lineno for node in tree.body if isinstance(node, ast.Assign) and "compiled(" in ast.unparse(node)
    )


def test_training_with_numba_switched_off_is_the_numpy_code():
    expected = run(TRAIN.replace("COMPILED", "False"))
    assert run(TRAIN.replace("COMPILED", "True"), NUMBA_DISABLE_JIT="1") == expected


def test_the_kernels_run_uncompiled_and_find_the_same():
    """They are what one steps through in a debugger."""
    code = TRAIN.replace("COMPILED", "True")
    through_kernels = "import refdiff.network.train as train\ntrain._can_compile = lambda: True\n"
    uncompiled = float(run(through_kernels + code, NUMBA_DISABLE_JIT="1"))
    assert uncompiled == pytest.approx(float(run(code, NUMBA_DISABLE_JIT="0")), rel=1e-12)
    assert uncompiled == pytest.approx(float(run(TRAIN.replace("COMPILED", "False"))), rel=1e-12)


def test_without_a_directory_for_the_cache_everything_works():
    nowhere = """
from numba.core import caching
def refuse(self):
    raise OSError("read-only")
caching._CacheLocator.ensure_cache_path = refuse
from refdiff.kernels import chains
kernel = next(value for value in vars(chains).values() if hasattr(value, "py_func"))
print(type(kernel._cache).__name__)
"""
    assert run(nowhere, NUMBA_DISABLE_JIT="0") == "NullCache"


def test_the_beginning_and_end_of_compiling_are_announced_and_only_when_there_is_one():
    code = """
from refdiff.kernels.build import compiled
from refdiff.kernels.streams import announce
def double(x):
    return 2 * x
def quadruple(x):
    return double(double(x))
double, quadruple = compiled(double), compiled(quadruple)
for x in (1, 2, 1.5):
    with announce(lambda: print("compiling"), lambda: print("done")):
        print(quadruple(x))
"""
    # a function given on the command line has no file beside which its machine code could be kept
    assert run(code, NUMBA_DISABLE_JIT="0").split() == ["compiling", "done", "4", "8", "compiling", "done", "6.0"]


def test_importing_the_learner_and_building_a_network_loads_no_compiler():
    code = (
        "import sys, numpy, refdiff.network as n; n.MLP(rng=numpy.random.default_rng(0)); print('numba' in sys.modules)"
    )
    assert run(code) == "False"
