"""A movie is one piece of HTML: all its frames inside, nothing to fetch."""

import re

import pytest

from refdiff import plot


def moving(frames=3):
    figure = plot.Picture(1.5, 2)
    (line,) = figure.subplots().plot([0, 1], [0, 1])
    return figure, plot.movie(figure, lambda k: line.set_ydata([0, k]), frames=frames)


def test_each_frame_is_a_picture_of_its_own():
    html = moving(3)[1]._repr_html_()
    pictures = re.findall(r'frames\[\d\] = "data:image/png;base64,([^"]+)"', html)
    assert len(pictures) == len(set(pictures)) == 3


def test_nothing_is_fetched_and_every_button_says_what_it_does():
    html = moving()[1].html
    assert "http" not in html.replace("http://www.w3.org", "")
    assert "fa-" not in html
    assert len(re.findall(r"<button[^>]*aria-label", html)) == 9


def test_the_figure_is_left_as_it_was():
    figure, _ = moving()
    assert figure.get_dpi() == 100


def test_a_figure_of_pyplot_is_not_shown_a_second_time():
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(1, 1))
    plot.movie(figure, lambda k: axes.set_title(str(k)), frames=1)
    assert not plt.fignum_exists(figure.number)


def test_a_movie_without_frames_is_refused():
    with pytest.raises(ValueError, match="frames = 0"):
        plot.movie(plot.Picture(1, 1), print, frames=0)
