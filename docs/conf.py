"""How the book is built: ``sphinx-build -W --keep-going -n docs build/docs`` (extra ``[docs]``)."""

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "refdiff"
author = "The refdiff developers"
copyright = "2026, the refdiff developers"
version = release = importlib.metadata.version("refdiff")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx-mathjax-offline",
    "book",
]
exclude_patterns = ["_ext", "samplers/*", "benchmarks/*", "notebooks/README.md", "**/.ipynb_checkpoints"]
nitpicky = True
nitpick_ignore = [("py:class", "numpy.ndarray"), ("py:class", "collections.abc.Callable")]  # their own sites have them
root_doc = "index"

# equations are numbered by chapter, so that one number is one equation of the whole book
numfig = True
math_numfig = True
numfig_secnum_depth = 1
math_eqref_format = "Eq. {number}"
mathjax3_config = {"chtml": {"mtextInheritFont": True, "scale": 0.94}, "options": {"enableMenu": False}}

myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath", "smartquotes"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

nb_execution_mode = "auto"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "furo"
html_title = "refdiff"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_sourcelink = False
pygments_style = "friendly"
pygments_dark_style = "monokai"

book_budget = "default"


def setup(app):
    """Say what an extension that only sets a path does not say itself: pages may be read in parallel."""
    app.extensions["sphinx-mathjax-offline"].parallel_read_safe = True
