"""The picture of the race: what is drawn is what was measured."""

import numpy as np
import pytest

from refdiff import plot
from refdiff.samplers import SAMPLERS, Score

EXACT = Score("exact", "", 0, (-1e-4, 1e-4, 2e-4))
FAR, NEAR = Score("ddim", "even", 10, (0.2, 0.3, 0.4)), Score("ddim", "even", 50, (-1e-5, 1e-5, 0.0))
OTHER = Score("heun", "log_snr", 10, (0.1, 0.12, 0.14))


def test_each_sampler_has_its_line_in_the_panel_of_its_spacing_and_the_best_is_named():
    figure = plot.sampler_race([EXACT, FAR, NEAR, OTHER])
    even, log_snr = figure.axes
    np.testing.assert_allclose(log_snr.lines[0].get_xydata(), [[10, 0.12]])
    assert even.lines[0].get_ydata()[0] == pytest.approx(0.3)
    assert "Heun (EDM) comes nearest, with steps even in log SNR" in figure.get_suptitle()
    assert [text.get_text() for text in log_snr.get_legend().get_texts()] == ["Heun (EDM)"]


def test_two_that_differ_by_less_than_two_errors_are_both_named():
    close = Score("dpmpp_2m", "log_snr", 10, (0.09, 0.14, 0.15))
    title = plot.sampler_race([EXACT, FAR, OTHER, close]).get_suptitle()
    assert "Heun (EDM) and DPM-Solver++(2M) come nearest with steps even in log SNR" in title


def test_what_cannot_be_told_from_exact_points_is_drawn_hollow_at_the_edge_of_the_band():
    axes = plot.sampler_race([EXACT, FAR, NEAR]).axes[0]
    floor = 2 * np.std(EXACT.values, ddof=1) / np.sqrt(3)
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white" and len(line.get_xdata())]
    np.testing.assert_allclose(hollow[0].get_xydata(), [[50, floor]])
    assert axes.lines[0].get_ydata()[1] == pytest.approx(floor)


def test_error_bars_are_two_standard_errors():
    axes = plot.sampler_race([EXACT, FAR]).axes[0]
    (bar,) = axes.containers[0].lines[2][0].get_segments()
    assert bar[1, 1] - bar[0, 1] == pytest.approx(4 * FAR.standard_error)
    lucky = Score("ddim", "even", 10, (0.3, 0.3, 0.3))
    axes = plot.sampler_race([EXACT, lucky]).axes[0]
    (bar,) = axes.containers[0].lines[2][0].get_segments()
    assert bar[1, 1] - bar[0, 1] == pytest.approx(4 * EXACT.standard_error)


def test_every_sampler_has_a_colour_of_its_own():
    from refdiff.plot.samplers import COLORS, MARKERS

    assert len(set(COLORS.values())) == len(SAMPLERS) == len(COLORS) == len(MARKERS)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([EXACT, 0.5], "scores must be made of Score"),
        ([EXACT], "scores must hold a sampler and exact points"),
        ([FAR], "scores must hold a sampler and exact points"),
        ([EXACT, Score("ddim", "even", 10, (0.1,))], "scores must be of at least two seeds"),
    ],
)
def test_what_cannot_be_drawn_is_refused(scores, message):
    with pytest.raises((TypeError, ValueError), match=message):
        plot.sampler_race(scores)
