"""A figure that moves, with a slider, in a notebook and in the page made of it: no file, no network, no widget."""

import re
import sys
from html import escape

from matplotlib.animation import FuncAnimation

__all__ = ["Movie", "movie"]

BUTTONS = {  # in the place of an icon font that a page would have to fetch
    "fa-minus": "−",
    "fa-plus": "+",
    "fa-fast-backward": "|<",
    "fa-step-backward": "<",
    "fa-play fa-flip-horizontal": "◀",
    "fa-pause": "||",
    "fa-play": "▶",
    "fa-step-forward": ">",
    "fa-fast-forward": ">|",
}


class Movie:
    """Frames under a slider, as HTML; a notebook shows it where it is the last value of a cell."""

    def __init__(self, html, frames):
        self.html, self.frames = html, frames

    def __repr__(self):
        return f"Movie({self.frames} frames)"

    def _repr_html_(self):
        return self.html


def movie(figure, update, frames, interval=120, dpi=72):
    """Return a figure that moves.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        From :class:`refdiff.plot.Picture` or pyplot; of the latter's figures it takes the place.
    update : callable
        ``update(k)`` draws frame k on the figure; what it returns is not used.
    frames : int
        Their number. Thirty of three by three inches make half a megabyte of page.
    interval : int
        Milliseconds from one to the next.
    dpi : int
        Dots per inch of the frames.

    Returns
    -------
    Movie

    Raises
    ------
    ValueError
        If there is no frame.

    Examples
    --------
    >>> from refdiff.plot import Picture
    >>> figure = Picture(2, 2)
    >>> line, = figure.subplots().plot([0, 1], [0, 1])
    >>> movie(figure, lambda k: line.set_ydata([0, k]), frames=3)
    Movie(3 frames)
    """
    if not frames >= 1:
        raise ValueError(f"a movie needs a frame; got frames = {frames!r}.")

    def draw(k):
        update(k)
        return ()

    size, layout = figure.get_dpi(), figure.get_layout_engine()
    figure.set_dpi(dpi)
    update(0)
    figure.canvas.draw()
    if layout is not None:
        figure.set_layout_engine("none")  # laid out once: what moves is the picture, not its frame
    moving = FuncAnimation(figure, draw, frames=int(frames), interval=interval, init_func=lambda: ())
    html = moving.to_jshtml(default_mode="once")
    figure.set_dpi(size)
    if layout is not None:
        figure.set_layout_engine(layout)
    if "matplotlib.pyplot" in sys.modules:  # a notebook would show its last frame as well
        sys.modules["matplotlib.pyplot"].close(figure)
    return Movie(_without_requests(html), int(frames))


def _without_requests(html):
    """Return the page's part without the style sheet that it would fetch, its icons as characters."""
    html = re.sub(r'<link rel="stylesheet"\s+href="https://[^>]*font-awesome[^>]*>', "", html)
    return re.sub(r'<i class="fa ([a-z -]+)"></i>', lambda icon: escape(BUTTONS[icon[1]]), html)
