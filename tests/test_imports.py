"""What imports what: the wings stay apart, and `import refdiff` stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import refdiff

PACKAGE = Path(refdiff.__file__).parent
ORDER = [
    "checks",
    "files",
    "kernels",
    *refdiff.CHAPTERS,
    "toys",
    "points",
    "distance",
    "samplers",
    "network",
    "verify",
    "learn",
    "plot",
    "cli",
]
FILES = sorted(PACKAGE.rglob("*.py"))


def wing(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imported_wings(path):
    """Return the wings of refdiff that a file imports, at any depth of its code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "refdiff":
            inner = node.module.split(".")[1:]
            found |= {inner[0]} if inner else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("refdiff.")}
    return found & set(ORDER)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_wings_above_its_own(path):
    own = wing(path)
    if own in ("__init__", "__main__"):
        return
    below = [other for other in imported_wings(path) if ORDER.index(other) > ORDER.index(own)]
    assert below == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_who_may_import_whom(path):
    own, others = wing(path), imported_wings(path)
    if own in refdiff.CHAPTERS:
        assert not others & {"network", "verify", "plot", "cli"}
    if own == "network":
        assert "verify" not in others
    if own not in ("cli", "__init__", "__main__"):
        assert not others & {"plot", "cli"} or own == "plot"


@pytest.mark.parametrize("path", sorted((PACKAGE / "verify" / "catalogue").rglob("*.py")), ids=lambda p: p.stem)
def test_a_catalogue_file_imports_nothing_that_it_judges(path):
    allowed = {"refdiff.forward": {"walk"}}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "refdiff":
            if node.module.startswith("refdiff.verify"):
                continue
            names = {alias.name for alias in node.names}
            assert names <= allowed.get(node.module, set()), f"{path.name} imports {names} from {node.module}"
        elif isinstance(node, ast.Import):
            assert not any(alias.name.startswith("refdiff") for alias in node.names)


def test_import_refdiff_loads_nothing_heavy():
    code = "import sys, refdiff, refdiff.elbo, refdiff.reverse, refdiff.mixture; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {"numba", "scipy", "matplotlib", "tqdm", "hypothesis", "torch"}


def test_modules_are_found_as_attributes():
    for name in refdiff.__all__:
        assert getattr(refdiff, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        refdiff.nonsense  # noqa: B018
