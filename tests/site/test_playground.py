"""The page to play with: its numbers are refdiff's wherever the sliders stand, and it can be played by keyboard."""

import re
import warnings

import numpy as np
import pytest

from refdiff import Gaussian, Schedule, bayes, elbo, forward, gaussian
from tests.site.test_in_chromium import SIDEWAYS, address, browser, is_quiet, visit  # noqa: F401  fixtures

STEPS = (1, 2, 5, 10, 20, 50, 100, 500, 1000)
SCHEDULES = {
    "linear": Schedule.linear,
    "vp": Schedule.vp,
    "cosine": Schedule.cosine,
    "constant": lambda T: Schedule.constant(T, 0.3),
}
SET = """(position) => {
    for (const [id, value] of Object.entries(position)) document.getElementById(id).value = value;
    document.getElementById("playground").dispatchEvent(new Event("input", { bubbles: true }));
    const outputs = [...document.querySelectorAll("#playground output")];
    return Object.fromEntries(outputs.map((out) => [out.id, out.dataset.value]));
}"""


def expected(name, T, t, x_0, x_t, shift, variance):
    """Return every number of the page, by refdiff."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the page is there to show what the warning says
        schedule = SCHEDULES[name](T)
    q_t, back = forward.marginal(schedule, [x_0], t), bayes.posterior(schedule, [x_0], [x_t], t)
    found = {
        "beta": schedule.beta[t],
        "alpha_bar": schedule.alpha_bar[t],
        "one_minus_alpha_bar": schedule.one_minus_alpha_bar[t],
        "snr": schedule.snr[t],
        "beta_tilde": schedule.beta_tilde[t],
        "alpha_bar_T": schedule.alpha_bar[T],
        "marginal_mean": q_t.mean[0],
        "marginal_var": q_t.var,
        "prior_term": elbo.prior_term(schedule, [x_0]),
        "likelihood_precision": schedule.alpha[t] / schedule.beta[t],
        "posterior_mean": back.mean[0],
        "posterior_var": back.var,
    }
    if t > 1:
        var = schedule.beta[t] if variance == "beta" else schedule.beta_tilde[t]
        found["prior_precision"] = 1 / forward.marginal(schedule, [x_0], t - 1).var
        found["kl"] = gaussian.kl(back, Gaussian(back.mean + shift, var))
        found["kl_constant"] = elbo.kl_constant(schedule, t, variance)
        found["kl_mean"] = found["kl"] - found["kl_constant"]
    return {key: float(np.asarray(value).item()) for key, value in found.items()}


def positions(n):
    rng = np.random.default_rng(0)
    for _ in range(n):
        T = int(rng.choice(STEPS))
        yield {
            "name": str(rng.choice(list(SCHEDULES))),
            "T": T,
            "t": int(rng.integers(1, T + 1)),
            "x_0": round(float(rng.integers(-300, 301)) / 100, 2),
            "x_t": round(float(rng.integers(-300, 301)) / 100, 2),
            "shift": round(float(rng.integers(-200, 201)) * 0.005, 3),
            "variance": str(rng.choice(["beta", "posterior"])),
        }


def test_at_200_positions_every_number_is_refdiffs(visit):  # noqa: F811
    page = visit("playground.html", "desktop")
    for at in positions(200):
        sliders = {"schedule": at["name"], "T": STEPS.index(at["T"])}
        page.evaluate(SET, sliders)  # T first: it limits t
        shown = page.evaluate(SET, {**sliders, **{key: at[key] for key in ("t", "x_0", "x_t", "shift", "variance")}})
        for key, value in expected(**at).items():
            scale = max(abs(value), 1.0) if key == "kl_mean" else abs(value)  # there a difference of two of refdiff's
            assert abs(float(shown[key]) - value) <= 1e-9 * scale + 1e-13, (key, at)
        if at["t"] == 1:
            assert shown["kl"] == "NaN"
            assert shown["prior_precision"] == "Infinity"


@pytest.mark.parametrize("kind", ["desktop", "phone", "dark"])
def test_it_stays_within_its_page_and_asks_nobody(kind, visit, address):  # noqa: F811
    page = visit("playground.html", kind)
    is_quiet(page, address)
    assert page.evaluate(SIDEWAYS) == 0
    assert all(box["width"] > 200 for box in (svg.bounding_box() for svg in page.query_selector_all(".playground svg")))


def test_it_is_played_by_keyboard(visit):  # noqa: F811
    page = visit("playground.html", "desktop")
    page.focus("#T")
    page.keyboard.press("End")
    assert page.text_content("#T-value") == "1000"
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.id") == "t"
    before = page.text_content("#beta")
    page.keyboard.press("PageUp")
    assert page.text_content("#beta") != before
    page.keyboard.press("Home")
    assert page.get_attribute("#posterior_var", "data-value") == "0"
    assert "the prior is a point" in page.text_content("#says-posterior")


def test_unscaled_betas_at_few_steps_are_called_out(visit):  # noqa: F811
    page = visit("playground.html", "desktop")
    page.evaluate(SET, {"schedule": "linear", "T": STEPS.index(50)})
    assert re.search(r"still holds 77\.\d % of x₀, that is 60\.\d % of its power", page.text_content("#says-schedule"))
    page.evaluate(SET, {"schedule": "vp", "T": STEPS.index(50)})
    assert "may start from N(0, 1)" in page.text_content("#says-schedule")


def test_every_slider_has_a_name_and_every_number_its_label(visit):  # noqa: F811
    page = visit("playground.html", "phone")
    for control in page.query_selector_all(".playground input, .playground select"):
        assert control.evaluate("(node) => node.labels.length") == 1
    assert page.evaluate("() => document.querySelectorAll('.playground dd output').length") == 16
    assert page.evaluate("() => document.querySelectorAll('.playground dt').length") == 16
