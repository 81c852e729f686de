"""The pictures of guidance: densities, curves and dots are what the chapter says, and points what a sampler makes."""

import re

import numpy as np
import pytest

from refdiff import guidance, plot, reverse
from refdiff.continuous import VE, VP, diffused
from refdiff.gaussian import Gaussian
from refdiff.guidance import LabelledMixture
from refdiff.mixture import GaussianMixture
from refdiff.network import MLP
from refdiff.plot.guidance import FLOW, LABEL_COLORS, NOISY
from refdiff.schedule import Schedule
from tests.test_plot import labelled, nothing_is_cut_off, rng, words

TWO = LabelledMixture(GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 0.5), [0, 1])
PARTS = LabelledMixture(GaussianMixture([0.2, 0.5, 0.3], [[-2.0], [0.5], [2.0]], [0.3, 0.4, 0.6]), [0, 1, 0])
FLAT = LabelledMixture(GaussianMixture([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], 0.5), [0, 1])
CLASS, ALL = Gaussian([1.0], 1.0), Gaussian([0.0], 4.0)
SCHEDULE = Schedule.vp(30)
FEW = Schedule.from_betas([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])  # leaves some signal, so that no network leads far out
DATA, LABELS = np.random.default_rng(1).standard_normal((60, 2)), np.arange(60) % 3


def network(classes=3, dim=2):
    return MLP(dim, rng=rng(), width=16, depth=2, time_dim=8, classes=classes)


def samples(r, **settings):
    return plot.guided_samples(network(), FEW, DATA, LABELS, r, **{"n": 12, "steps": 5} | settings)


PICTURES = {
    "a class in two parts": lambda r: plot.guidance_laws(PARTS, 0, (-1, -0.5, 1.5), cells=200),
    "one weight": lambda r: plot.guidance_laws(TWO, 0, 6.5, cells=150),
    "a normal class": lambda r: plot.guided_variance(CLASS, ALL, schedule=SCHEDULE),
    "a class in the middle": lambda r: plot.guided_variance(
        Gaussian([0.3], 1.0), Gaussian([0.3], 1.1), schedule=SCHEDULE
    ),
    "a narrow class": lambda r: plot.guided_variance(
        Gaussian([-20.0], 0.01), Gaussian([5.0], 300.0), weights=[2, -0.5], schedule=SCHEDULE
    ),
    "three labels": samples,
    "one panel": lambda r: samples(r, weights=[-0.5]),
}
each_picture = pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)


@pytest.mark.parametrize("name", ["one weight", "three labels"])
def test_the_same_seed_gives_the_same_bytes(name):
    assert PICTURES[name](rng())._repr_png_() == PICTURES[name](rng())._repr_png_()


def test_another_seed_gives_other_points():
    one, other = (of_label(samples(np.random.default_rng(seed)).axes[1], 0) for seed in (0, 1))
    assert (one != other).all()


@each_picture
def test_nothing_is_cut_off_and_a_minus_sign_is_no_hyphen(draw):
    figure = draw(rng())
    assert nothing_is_cut_off(figure)
    assert not re.search(r"(^|[\s(=])-\d", words(figure))


# ------------------------------------------------------------------------------------ two densities of one guided score


def curves(axes):
    return [labelled(axes, name).get_ydata() for name in ("class", "tilted", "flow")]


def described(x, density):
    step = x[1] - x[0]
    mean = np.sum(x * density) * step
    return [mean, np.sum((x - mean) ** 2 * density) * step]


def numbers(axes):
    """Return the table of a panel: mean and variance of class, tilted density and flow."""
    written = [text.get_text() for text in axes.texts]
    return np.array([float(one.replace("−", "-")) for one in written if re.fullmatch(r"−?\d+\.\d+", one)]).reshape(3, 2)


@pytest.mark.parametrize("sde", [VP(), VE(sigma_max=30.0)], ids=repr)
def test_the_tilted_density_is_dashed_and_the_flow_solid(sde):
    weights = (-0.5, 2)
    figure = plot.guidance_laws(PARTS, 0, weights, sde=sde, cells=200)
    given = PARTS.given(0)
    prior = diffused(sde, given, 1.0)
    for axes, w in zip(figure.axes, weights):
        x = labelled(axes, "tilted").get_xdata()
        of_class, tilted, flow = curves(axes)
        np.testing.assert_allclose(of_class, np.exp(given.log_density(x[:, None])))
        hoped = of_class * (0.5 * of_class / np.exp(PARTS.mixture.log_density(x[:, None]))) ** w
        np.testing.assert_allclose(tilted, hoped / np.sum(hoped) / (x[1] - x[0]), rtol=1e-6, atol=1e-9)
        some = slice(0, None, 20)
        exact = guidance.guided_flow_log_density(sde, PARTS, 0, w, x[some, None], prior=prior)
        np.testing.assert_allclose(flow[some], np.exp(exact), atol=1e-6)
        assert labelled(axes, "tilted").get_linestyle() == "--"
        assert labelled(axes, "flow").get_linestyle() == "-"


def test_means_variances_and_divergences_are_those_of_the_chapter_and_of_the_curves():
    figure = plot.guidance_laws(TWO, 1)
    known = {  # tests/test_guidance.py, by another grid
        1: (0.4492, [[1, 0.5], [1.1306, 0.3882], [1.4524, 0.2628]]),
        3: (6.7398, [[1, 0.5], [1.2297, 0.3288], [1.9554, 0.1688]]),
    }
    for axes, w in zip(figure.axes, (0, 1, 3)):
        found, x = numbers(axes), labelled(axes, "flow").get_xdata()
        np.testing.assert_allclose(found, [described(x, density) for density in curves(axes)], atol=6e-4)
        title = axes.get_title(loc="left")
        assert f"$w$ = {w}:" in title
        if w in known:
            kl, moments = known[w]
            np.testing.assert_allclose(found, moments, atol=6e-4)
            assert float(re.search(r"= ([\d.]+) nats", title).group(1)) == pytest.approx(kl, abs=6e-4)
    assert "at $w$ = 3 that has the variance 0.329, what the flow samples 0.169" in words(figure)


def test_without_guidance_all_three_are_the_class():
    axes = plot.guidance_laws(TWO, 1, (0, 1), cells=200).axes[0]
    of_class, tilted, flow = curves(axes)
    np.testing.assert_allclose(tilted, of_class, atol=1e-12)
    np.testing.assert_allclose(flow, of_class, atol=1e-6)
    assert axes.get_title(loc="left").endswith("KL(tilted ∥ flow) = 0")


def test_the_grid_holds_all_of_every_density_wherever_the_flow_leads():
    for labelled_data, y in ((PARTS, 1), (TWO, 0)):
        for axes in plot.guidance_laws(labelled_data, y, (1, 4), cells=400).axes:
            x = labelled(axes, "flow").get_xdata()
            for density in curves(axes):
                assert density.sum() * (x[1] - x[0]) == pytest.approx(1, abs=1e-4)  # or it is refused
            low, high = axes.get_xlim()
            shown = (x >= low) & (x <= high)
            for density in curves(axes):
                assert density[shown].sum() * (x[1] - x[0]) > 0.98


# ------------------------------------------------------------------------------------------------------ a normal class


def dots(axes, color):
    (line,) = [line for line in axes.lines if line.get_color() == color and line.get_marker() != "None"]
    return np.array(line.get_data())


def test_three_curves_of_the_chapter_meet_at_minus_1_and_0_only():
    figure = plot.guided_variance(CLASS, ALL, schedule=SCHEDULE)
    for axes, attribute, ends in zip(figure.axes, ("var", "mean"), ((4.0, 1.0), (0.0, 1.0))):
        lines = [labelled(axes, name) for name in ("tilted", "ancestral", "flow")]
        laws = (guidance.tilted, guidance.guided_ancestral_limit, guidance.guided_flow_limit)
        w = lines[0].get_xdata()
        for line, law in zip(lines, laws):
            some = np.arange(0, w.size, 20)
            exact = [getattr(law(CLASS, ALL, one), attribute).item() for one in w[some]]
            np.testing.assert_allclose(line.get_ydata()[some], exact, atol=1e-12)
        heights = np.array([line.get_ydata() for line in lines])
        for at, value in zip((-1, 0), ends):
            np.testing.assert_allclose(heights[:, np.argmin(np.abs(w - at))], value, atol=1e-9)
        apart = np.ptp(heights, axis=0)
        assert (apart[np.abs(w * (w + 1)) > 0.01] > 1e-3).all()


def test_dots_are_what_the_samplers_draw():
    n, T = 20_000, SCHEDULE.T
    of_var, of_mean = plot.guided_variance(CLASS, ALL, weights=(-0.5, 2), schedule=SCHEDULE).axes
    with_label, without = (
        GaussianMixture([1.0], law.mean[None], law.var[None]).denoiser(SCHEDULE) for law in (CLASS, ALL)
    )
    for k, w in enumerate((-0.5, 2)):
        guided = guidance.classifier_free(with_label, without, w)
        drawn = {
            NOISY: reverse.sample(SCHEDULE, guided, n, 1, rng()),
            FLOW: reverse.ddim(SCHEDULE, guided, n, 1, rng(), steps=T),
        }
        for color, x in drawn.items():
            var, mean = dots(of_var, color)[1, k], dots(of_mean, color)[1, k]
            assert dots(of_var, color)[0, k] == w
            assert abs(x.mean() - mean) < 5 * np.sqrt(var / n)
            assert abs(x.var() - var) < 5 * var * np.sqrt(2 / n)


def test_the_dots_of_many_steps_lie_beside_their_curves_and_how_far_off_is_said():
    figure = plot.guided_variance(CLASS, ALL)
    off = {}
    for axes in figure.axes:
        for color, law in ((NOISY, guidance.guided_ancestral_limit), (FLOW, guidance.guided_flow_limit)):
            w, found = dots(axes, color)
            limits = [law(CLASS, ALL, one) for one in w]
            if axes is figure.axes[0]:
                off.setdefault("var", []).append(np.max(np.abs(found / [one.var.item() for one in limits] - 1)))
            else:
                off.setdefault("mean", []).append(np.max(np.abs(found - [one.mean.item() for one in limits])))
    assert max(off["var"]) < 0.05
    assert max(off["mean"]) < 0.01
    mean, var = re.search(r"at most ([\d.]+) \(mean\) and ([\d.]+) % \(variance\)", words(figure)).groups()
    assert float(mean) == pytest.approx(max(off["mean"]), rel=0.05)
    assert float(var) == pytest.approx(100 * max(off["var"]), rel=0.05)


def test_the_title_gives_the_three_variances_and_the_line_the_surest_point():
    figure = plot.guided_variance(CLASS, ALL, schedule=SCHEDULE)
    # 1 / (4 - 3/4), (1 - 4^-7) / (7 * 3/4), 4^-3
    assert "at $w$ = 3 the variance is 0.308 tilted, 0.19 ancestral, 0.0156 by DDIM" in words(figure)
    (level,) = [line.get_ydata()[0] for line in figure.axes[1].lines if np.ptp(line.get_ydata()) == 0]
    x = np.linspace(1, 2, 100_001)[:, None]
    assert level == pytest.approx(x[np.argmax(CLASS.log_density(x) - ALL.log_density(x)), 0], abs=2e-5)


# ------------------------------------------------------------------------------------------------- what a network makes


def of_label(axes, k):
    (line,) = [line for line in axes.lines if line.get_color() == LABEL_COLORS[k]]
    return line.get_xydata()


def mean_length(x, y):
    return np.linalg.norm(x[:, None] - y, axis=-1).mean()


def test_each_colour_is_what_ddim_makes_of_the_same_noise_under_its_label():
    n, weights = 12, (0.0, -1.0, 4.0)
    model, r = network(), rng()
    first, *panels = samples(rng(), weights=weights).axes
    x_T = r.standard_normal((3 * n, 2)).reshape(3, n, 2)
    for axes, w in zip(panels, weights):
        distances, within = [], []
        for k in range(3):
            guided = guidance.classifier_free(model.given(k), model.given(None), w)
            *_, (_, x) = reverse.ddim_path(FEW, guided, x_T[k], r, 5)
            np.testing.assert_allclose(of_label(axes, k), x, rtol=1e-4, atol=1e-5)  # float32, in other blocks
            data = DATA[np.equal(LABELS, k)]
            distances.append(2 * mean_length(x, data) - mean_length(x, x) - mean_length(data, data))
            within.append((np.var(x, axis=0).sum(), np.var(data, axis=0).sum()))
        title = axes.get_title(loc="left")
        distance, share = re.search(r"distance ([\d.]+),\n([\d.]+) % of", title).groups()
        assert float(distance) == pytest.approx(np.mean(distances), rel=0.006)
        assert float(share) == pytest.approx(100 * np.divide(*np.sum(within, axis=0)), rel=0.006)
    for k in range(3):
        shown = of_label(first, k)
        assert len(shown) == n
        assert {tuple(one) for one in shown} <= {tuple(one) for one in DATA[np.equal(LABELS, k)]}
        assert len({tuple(one) for one in shown}) == n


def test_all_points_lie_within_the_axes_and_few_data_are_shown_whole():
    figure = samples(rng(), n=30)
    for axes in figure.axes:
        (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
        for k in range(3):
            x, y = of_label(axes, k).T
            assert left < x.min() < x.max() < right
            assert low < y.min() < y.max() < high
    np.testing.assert_array_equal(of_label(figure.axes[0], 1), DATA[LABELS == 1])


def test_that_more_guidance_leads_further_is_said_only_where_it_does():
    class Apart(MLP):
        """A denoiser of unit noise that moves the points of each label away from those of the others, or back."""

        sign = -1.0

        def forward(self, x, t, y=None):
            y = np.broadcast_to(self._lined_up(x, t, y)[2], np.shape(x)[:-1])
            away = np.where(y < 0, 0.0, 2.0 * y - 1)[..., None]
            return np.asarray(x) + self.sign * away, []

    for sign, said in ((-1.0, True), (0.0, False)):
        model = Apart(2, rng=rng(), width=2, depth=1, time_dim=2, classes=2)
        model.sign = sign
        figure = plot.guided_samples(model, SCHEDULE, DATA, LABELS % 2, rng(), n=20, steps=3, weights=(3, 0, 1))
        distances = [float(one) for one in re.findall(r"distance ([\d.]+),", words(figure))]
        assert ("The more guidance, the further" in words(figure)) == said
        assert (distances[0] > distances[2] > distances[1]) == said


# ------------------------------------------------------------------------------------------------------------ bad input


def of_network(model=None, schedule=SCHEDULE, data=DATA, labels=LABELS, r=None, **settings):
    model = network() if model is None else model
    return lambda: plot.guided_samples(model, schedule, data, labels, rng() if r is None else r, **settings)


WRONG = {
    "laws of a mixture": (TypeError, "labelled must be", lambda: plot.guidance_laws(TWO.mixture, 1)),
    "laws in a plane": (ValueError, "d = 1; got d = 2", lambda: plot.guidance_laws(FLAT, 1)),
    "no such class": (ValueError, "y must be one of", lambda: plot.guidance_laws(TWO, 2)),
    "a flow like a point": (
        ValueError,
        "adds up to .* More cells",
        lambda: plot.guidance_laws(PARTS, 1, 12, cells=200),
    ),
    "no weight": (ValueError, "weights must be", lambda: plot.guidance_laws(TWO, 1, ())),
    "four weights of laws": (
        ValueError,
        "one to 3, a panel for each; got 4",
        lambda: plot.guidance_laws(TWO, 1, range(4)),
    ),
    "below -1": (ValueError, "at least −1", lambda: plot.guidance_laws(TWO, 1, (-1.5,))),
    "no guidance": (ValueError, "another than 0 and −1", lambda: plot.guidance_laws(TWO, 1, (0, -1))),
    "weights in words": (TypeError, "weights must be", lambda: plot.guidance_laws(TWO, 1, "much")),
    "no equation": (TypeError, "sde must be", lambda: plot.guidance_laws(TWO, 1, sde=SCHEDULE)),
    "few cells": (ValueError, "cells must be", lambda: plot.guidance_laws(TWO, 1, cells=3)),
    "no Gaussian": (TypeError, "unconditional must be", lambda: plot.guided_variance(CLASS, TWO)),
    "a plane": (
        ValueError,
        "conditional must have d = 1",
        lambda: plot.guided_variance(Gaussian([0.0, 0.0], 1.0), ALL),
    ),
    "a wide class": (ValueError, "narrower", lambda: plot.guided_variance(ALL, CLASS)),
    "NaN": (ValueError, "weights must be finite", lambda: plot.guided_variance(CLASS, ALL, weights=[np.nan])),
    "no schedule": (TypeError, "schedule must be", lambda: plot.guided_variance(CLASS, ALL, schedule=100)),
    "no network": (TypeError, "model must be an MLP", of_network(lambda x_t, t: x_t)),
    "a network without classes": (ValueError, "and 0 classes", of_network(network(classes=0))),
    "nine classes": (ValueError, "and 9 classes", of_network(network(classes=9))),
    "a network of the line": (ValueError, "got d = 1", of_network(network(dim=1))),
    "T": (TypeError, "schedule must be", of_network(schedule=200)),
    "data of the line": (ValueError, r"data must be \(N, 2\)", of_network(data=DATA[:, :1])),
    "labels of others": (ValueError, r"labels \(N,\)", of_network(labels=LABELS[:-1])),
    "labels too many": (ValueError, "labels runs over 0..2", of_network(labels=LABELS + 1)),
    "labels in words": (TypeError, "labels must be", of_network(labels=["a"] * 60)),
    "a class without data": (ValueError, "at least two points", of_network(labels=LABELS // 2)),
    "a seed": (TypeError, "rng must be", of_network(r=1)),
    "four weights": (ValueError, "one to 3, a panel for each; got 4", of_network(weights=(0, 1, 2, 3))),
    "one point": (ValueError, "n must be at least 2", of_network(n=1)),
    "no steps": (ValueError, "steps must be", of_network(steps=0)),
    "more steps than T": (ValueError, "steps", of_network(steps=31)),
}


@pytest.mark.parametrize(("error", "match", "call"), WRONG.values(), ids=WRONG)
def test_bad_input_is_refused_in_one_line(error, match, call):
    with pytest.raises(error, match=match) as refused:
        call()
    assert "\n" not in str(refused.value)
