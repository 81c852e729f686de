"""What all pictures share: the palette, the style, a figure that carries it, and the way into a file."""

import contextlib
import functools
import io
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from refdiff.files import whole
from refdiff.mixture import GaussianMixture
from refdiff.schedule import Schedule

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY = "#E69F00", "#56B4E9"
INK, GREY, PALE = "#262626", "#7A7A7A", "#DADADA"
TRUTH, MODEL, NOISE = BLUE, VERMILION, GREY
CORNER_COLORS = (BLUE, VERMILION, GREEN, PURPLE)
BROKEN = (0, (4, 2))  # a line that only marks a value
ERROR_MAP = LinearSegmentedColormap.from_list("error", ["#FFFFFF", "#FBD9C0", "#EE9A5E", VERMILION, "#7A2F00"])

WIDTH = 9.0  # inches; at 100 dots per inch the 900 pixels at which a picture must be readable
STYLE = {
    "font.size": 10,
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.titlesize": 12,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 9,
}


@contextlib.contextmanager
def in_style():
    """Draw with matplotlib's defaults and STYLE, whatever the user's settings are, and put those back."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def styled(function):
    """Let a function draw in the style of the pictures."""

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        with in_style():
            return function(*args, **kwargs)

    return wrapped


class Picture(Figure):
    """A matplotlib Figure that carries its own style, and that a notebook shows without pyplot."""

    def __init__(self, height, width=WIDTH):
        super().__init__(figsize=(width, height), dpi=100, facecolor="white", layout="constrained")
        FigureCanvasAgg(self)
        self.get_layout_engine().set(w_pad=0.08, h_pad=0.08)

    def draw(self, renderer):
        """Draw in the style of the module, whatever matplotlib's settings are now."""
        with in_style():
            super().draw(renderer)

    def _repr_png_(self):
        return png(self, 100)


def png(figure, dpi):
    """Return the figure as the bytes of a PNG file; the same figure gives the same bytes."""
    content = io.BytesIO()
    with in_style():
        figure.savefig(content, format="png", dpi=dpi, metadata={"Software": None})
    return content.getvalue()


def must_end_in(path, suffix):
    """Refuse a path that does not end in `suffix`."""
    if Path(path).suffix.lower() != suffix:
        raise ValueError(f"path must end in {suffix}; got {Path(path).name!r}.")


def save(figure, path, dpi=150):
    """Write a figure to a PNG file, whole or not at all.

    The same figure gives the same bytes: no date and no version are written into the file.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : str or path-like
        Ends in ``.png``. A file of that name stays until the new one is complete: see :func:`refdiff.files.whole`.
    dpi : float
        Dots per inch; the pictures of this module are 9 inches wide.

    Raises
    ------
    TypeError
        If `figure` is not a Figure.
    ValueError
        If the path does not end in ``.png``.

    Examples
    --------
    >>> import tempfile
    >>> from refdiff.plot import posterior_product
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     save(posterior_product(Schedule.vp(10), 1.5, -0.5, 4), f"{directory}/posterior.png")
    ...     [file.name for file in Path(directory).iterdir()]
    ['posterior.png']
    """
    if not isinstance(figure, Figure):
        raise TypeError(f"figure must be a matplotlib Figure; got {type(figure).__name__}.")
    must_end_in(path, ".png")
    with whole(path) as unfinished:
        unfinished.write_bytes(png(figure, dpi))


def check_schedule(schedule):
    """Refuse what is no Schedule."""
    if not isinstance(schedule, Schedule):
        raise TypeError(f"schedule must be a Schedule; got {type(schedule).__name__}. Try refdiff.Schedule.vp(200).")


def check_mixture(mixture):
    """Refuse what is no GaussianMixture."""
    if not isinstance(mixture, GaussianMixture):
        raise TypeError(f"mixture must be a GaussianMixture; got {type(mixture).__name__}.")


def check_line(mixture, name):
    """Refuse what is no GaussianMixture in one dimension."""
    check_mixture(mixture)
    if (d := len(mixture.mean)) != 1:
        raise ValueError(f"{name} draws densities over a line: the mixture must have d = 1; got d = {d}.")


def check_sde(sde):
    """Refuse what has not the methods of an equation."""
    if not all(hasattr(sde, name) for name in ("drift_rate", "diffusion", "signal_rate", "var", "log_snr", "time")):
        raise TypeError(f"sde must be a VP, VE or SubVP, or have their methods; got {type(sde).__name__}.")


def one_step(schedule, t, least=1):
    """Return one step t of a schedule."""
    t = schedule.index(t, least=least)
    if np.ndim(t):
        raise ValueError(f"t must be one step; got shape {np.shape(t)}.")
    return t


def signed(value, form="g"):
    """Write a number with a minus sign, not a hyphen."""
    return format(value, form).replace("-", "−")
