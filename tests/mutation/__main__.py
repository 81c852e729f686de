"""Mutation testing, module by module: ``python -m tests.mutation gaussian schedule`` (all by default).

Works in a throw-away copy, in which properties are rebound (``std = property(std)``) so that mutmut sees their bodies.
The tests are collected once, and each mutant, a fork, runs those that touch its function until one fails: exact routes
first. A survivor is known if tests/mutation/survivors.md lists the line that it leaves.
"""

import argparse
import ast
import collections
import difflib
import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path

os.environ |= {"NUMBA_DISABLE_JIT": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

from _pytest.config import _prepareconfig
from mutmut.configuration import config, reset_config
from mutmut.mutation.data import MutantLineSpans, SourceFileMutationData
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.runners.harness import PytestRunner
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import change_cwd
from mutmut.workers import isolation

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SURVIVORS = HERE / "survivors.md"
MODULES = (
    *("gaussian", "schedule", "forward", "bayes", "parameterize", "mixture"),
    *("reverse.variance", "reverse.walks", "reverse.chain", "reverse.implicit", "reverse.solvers", "reverse.steps"),
    *("elbo.bound", "elbo.terms", "elbo.weights", "elbo.forms", "elbo.estimators"),
    *("likelihood.exact", "likelihood.importance", "network.mlp"),
)
MEMORY = 4 << 30  # bytes that a mutant may take: a wrong shape may ask for all there is


def path_of(module):
    return Path("refdiff", *module.split(".")).with_suffix(".py")


def rebind_properties(source):
    """Return the source with each ``@property`` written as a plain method, rebound below itself."""
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and [ast.unparse(one) for one in node.decorator_list] == ["property"]:
            lines[node.decorator_list[0].lineno - 1] = "\n"
            lines[node.end_lineno - 1] += f"\n{' ' * node.col_offset}{node.name} = property({node.name})\n"
    return "".join(lines)


def copy(place):
    """Bring a copy up to date, properties rebound; what has not changed is not touched, so that results are kept."""
    for name in ("refdiff", "tests"):
        for source in sorted((ROOT / name).rglob("*.py")):
            target = place / source.relative_to(ROOT)
            text = source.read_text()
            if str(target.relative_to(place)) in map(str, map(path_of, MODULES)):
                text = rebind_properties(text)
            if not target.exists() or target.read_text() != text:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text)
    shutil.copy2(ROOT / "pyproject.toml", place)


class Collected(PytestRunner):
    """Collects the tests once, before any fork: a mutant then costs no more than the tests that it runs."""

    session = None

    def collect(self):
        pytest_config = _prepareconfig(
            ["--rootdir=.", "--tb=native", "-q", *self._pytest_add_cli_args, *self._pytest_add_cli_args_test_selection]
        )
        pytest_config._do_configure()
        self.session = pytest_config.pluginmanager.get_plugin("main").Session.from_config(pytest_config)
        pytest_config.hook.pytest_sessionstart(session=self.session)
        self.session.perform_collect()

    def run_tests(self, *, mutant_name, tests):
        """Return 1 if a test fails. It is called in the fork of a mutant, and forks for no mutant and for any."""
        if self.session is None:
            with change_cwd("mutants"):
                self.collect()
        if mutant_name is None:
            return isolation.run_in_fork(self._run_in_fork, "none", tests)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        items = {item.nodeid: item for item in self.session.items}
        with change_cwd("mutants"):
            for name in sorted(tests, key=rank) or items:
                try:
                    self.session.config.hook.pytest_runtest_protocol(item=items[name], nextitem=None)
                except BaseException as error:  # whatever a mutant does, it ends here, in its fork
                    print(f"\n{name} ends in {error!r}")
                    return 1
                if self.session.testsfailed:
                    print(f"\n{name} fails")
                    return 1
        return 0

    def run_forced_fail(self):
        return isolation.run_in_fork(self._run_in_fork, "fail", [])

    def _run_in_fork(self, name, tests):
        set_mutant_under_test(name)
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 as mutmut does
        return self.run_tests(mutant_name=name, tests=tests)


def rank(name):
    """Say when a test runs: messages, which cost nothing, then exact routes, all else, and last what draws samples."""
    if "test_messages.py" in name:
        return 0
    return 2 if "test_routes.py" not in name else 1 if "-exact-" in name else 3


class Blank(ast.NodeTransformer):
    """Takes the words out of a function: what is raised or warned says, and the names that arguments are called."""

    def visit_Raise(self, node):
        if isinstance(node.exc, ast.Call):
            node.exc.args, node.exc.keywords = [], []
        return node

    def visit_Call(self, node):
        self.generic_visit(node)
        if ast.unparse(node.func) == "warnings.warn":
            node.args[:1], node.keywords = [], []
        return node

    def visit_Constant(self, node):
        return ast.Constant("") if isinstance(node.value, str) and " " in node.value else node


def without_words(source):
    source = source.lstrip("\n")
    source = ast.parse("class C:\n" + source if source[0] == " " else source)
    function = next(node for node in ast.walk(source) if isinstance(node, ast.FunctionDef))
    function.name, function.decorator_list = "f", []
    return ast.dump(Blank().visit(function))


def results(module):
    """Yield of each mutant its name, its status, whether only words differ, and the lines that differ."""
    data, spans = SourceFileMutationData(path=path_of(module)), MutantLineSpans.load(path_of(module))
    data.load()
    for name, code in data.exit_code_by_key.items():
        mutant = name.rpartition(".")[2]
        orig = mutant.partition("__mutmut_")[0] + "__mutmut_orig"
        sources = spans.read_function_sources([orig, mutant])
        lines = [source.replace(orig, "f").replace(mutant, "f").splitlines() for source in sources]
        changed = [line for line in difflib.unified_diff(*lines, lineterm="", n=0) if line[:3] not in ("---", "+++")]
        changed = [f"{line[0]} {line[1:].strip()}" for line in changed if line[0] in "+-"]
        yield name, status_by_exit_code[code], without_words(sources[0]) == without_words(sources[1]), changed


def function_of(mutant):
    """Return the dotted name of the function that a mutant is one of: gaussian.FullGaussian.condition."""
    module, _, name = mutant.removeprefix("refdiff.").partition("__mutmut_")[0].rpartition(".")
    return f"{module}.{name[2:] if name.startswith('x_') else name[2:].replace('ǁ', '.')}"


def explained():
    """Return the lines that survivors leave and survivors.md explains, by function."""
    sections = SURVIVORS.read_text().split("\n## ")[1:] if SURVIVORS.exists() else []
    return {name: set(rest.splitlines()) for name, _, rest in (section.partition("\n") for section in sections)}


def table(modules):
    """Print the table of results and the survivors that are not explained; return how many those are."""
    known, unexplained = explained(), []
    print(f"\n{'module':22} mutants killed timeout survived equivalent  score | words killed")
    for module in modules:
        count, words = collections.Counter(), collections.Counter()
        for name, status, only_words, changed in results(module):
            if status == "survived" and {one for one in changed if one[0] == "+"} <= known.get(
                function_of(name), set()
            ):
                status = "equivalent"
            (words if only_words else count)[status] += 1
            if status not in ("killed", "equivalent"):
                unexplained.append((status, name, changed))
        total = count.total()
        score = (count["killed"] + count["timeout"]) / max(1, total - count["equivalent"])
        rest = total - count["killed"] - count["timeout"] - count["equivalent"]
        print(
            f"{module:22} {total:7} {count['killed']:6} {count['timeout']:7} {rest:8} {count['equivalent']:10}"
            f" {score:6.1%} | {words.total():5} {words['killed']:6}"
        )
    for status, name, changed in unexplained:
        print(f"\n{status}: {name}", *changed, sep="\n    ")
    return len(unexplained)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.partition("\n")[0])
    parser.add_argument("module", nargs="*", help=f"of {', '.join(MODULES)}")
    parser.add_argument("--again", action="store_true", help="try only what was not killed there last time")
    parser.add_argument("--place", type=Path, help="where to work; kept, and results with it")
    parser.add_argument("--children", type=int, default=1, help="mutants tried at the same time")
    asked = parser.parse_args()
    modules = asked.module or MODULES
    place = asked.place or Path(tempfile.mkdtemp(prefix="refdiff-mutants-"))
    copy(place)
    os.chdir(place)
    sys.path[:] = [one for one in sys.path if Path(one).resolve() != ROOT]
    for name in [name for name in sys.modules if name.partition(".")[0] in ("refdiff", "tests")]:
        del sys.modules[name]

    import mutmut.__main__ as mutmut

    reset_config()  # which was read where we came from
    config().only_mutate = [str(path_of(module)) for module in modules]
    Path("mutants/mutmut-stats.json").unlink(missing_ok=True)  # which test touches which function is found out anew
    isolation.PytestRunner = Collected
    names = [f"refdiff.{module}.x*" for module in modules]
    if asked.again:
        names = [name for module in modules for name, status, *_ in results(module) if status != "killed"]
    mutmut._run(names, asked.children)
    return 1 if table(modules) else 0


if __name__ == "__main__":
    sys.exit(main())
