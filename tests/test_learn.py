"""The classroom: whatever somebody hands in is answered in a sentence, and truly."""

import numpy as np
import pytest

from refdiff import Gaussian, Schedule, bayes, gaussian, learn, verify
from refdiff.schedule import running_sum


def right(schedule, x_0, x_t, t):
    return bayes.posterior(schedule, x_0, x_t, t)


def with_beta(schedule, x_0, x_t, t):
    law = bayes.posterior(schedule, x_0, x_t, t)
    return law.mean, schedule.beta[schedule.index(t, x_t)]


def test_a_right_answer_is_called_right_and_is_true():
    answer = learn.check("bayes.posterior_mean", right)
    assert answer
    assert answer.solved
    assert answer.says == "posterior holds. 3 wrong versions, known from print or practice, would not."


def test_a_wrong_answer_comes_with_the_smallest_counter_example_and_both_numbers():
    answer = learn.check("posterior.var", with_beta)
    assert not answer
    assert len(answer.says.splitlines()) <= 3
    assert answer.says.endswith("Var[x_{t-1} | x_t, x_0] claimed 0.36, in truth 0")
    assert repr(answer).startswith("✗ bayes.posterior_var: posterior is refuted. beta = (0.36, 0.75)")


def unwritten(*args):
    raise NotImplementedError


@pytest.mark.parametrize("blank", [lambda *args: None, lambda *args: ..., unwritten])
def test_a_blank_is_called_unwritten_and_not_wrong(blank):
    answer = learn.check("posterior.mean", blank)
    assert answer.verdict is None
    assert repr(answer) == "… bayes.posterior_mean: posterior is not written yet: it returns nothing."


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda *args: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda *args: np.zeros(3), "returned ndarray; a law is the pair (mean, var)"),
        (lambda *args: exit(), "SystemExit"),
        (lambda x: x, "TypeError"),
        (lambda s, x_0, x_t, t: (np.full_like(x_0, np.nan), 1.0), "nan"),
    ],
)
def test_whatever_goes_wrong_in_it_is_answered_in_a_sentence(function, says):
    answer = learn.check("posterior.mean", function)
    assert not answer.solved
    assert says in answer.says
    assert len(answer.says.splitlines()) <= 3


def test_an_array_of_a_schedule_is_a_function_of_beta():
    def alpha_bar(beta):
        return np.append(1.0, np.cumprod(1 - beta))

    assert learn.check("schedule.alpha_bar", alpha_bar).solved
    answer = learn.check("schedule.alpha_bar", lambda beta: np.cumprod(1 - beta))
    assert answer.says == "alpha_bar is refuted: alpha_bar has shape (5,), (6,) is right."
    answer = learn.check("schedule.one_minus_alpha_bar", lambda beta: 1 - alpha_bar(beta))
    assert "all betas times 1e-12" in answer.says


def ddim_var(schedule, s, t, eta):
    alpha_bar, one_minus = schedule.alpha_bar, schedule.one_minus_alpha_bar
    return eta**2 * one_minus[s] / one_minus[t] * (1 - alpha_bar[t] / alpha_bar[s])


def test_a_refusal_that_is_missing_is_mentioned_and_does_not_hide_a_wrong_number():
    answer = learn.check("reverse.ddim_var", ddim_var)
    assert answer.solved
    assert "eta above 1 raises TypeError or ValueError" in answer.says
    answer = learn.check("reverse.ddim_var", lambda schedule, s, t, eta: eta * ddim_var(schedule, s, t, 1.0))
    assert not answer.solved
    assert "raises" not in answer.says


def test_a_method_goes_by_its_class_and_several_functions_by_their_names():
    from refdiff import GaussianMixture

    assert learn.check("mixture.score", GaussianMixture__score=GaussianMixture.score).solved
    assert not learn.check("mixture.score", lambda self, x: -x).solved
    answer = learn.check("bayes.rule", posterior=with_beta)
    assert answer.replaces == ("bayes.posterior",)
    assert not answer.solved


def test_a_name_of_ones_own_finds_the_function_that_it_stands_for():
    def my_marginal(schedule, x_0, t):
        return schedule.signal_rate[t] * x_0, schedule.one_minus_alpha_bar[t]

    assert learn.check("bayes.rule", my_marginal).replaces == ("forward.marginal",)


@pytest.mark.parametrize("name", ["kl", "kl_equal_var", "cross_entropy"])
@pytest.mark.parametrize("axis", [None, 0])
def test_a_sum_over_all_points_is_not_a_sum_over_coordinates(name, axis):
    def wrong(q, p):
        found = getattr(gaussian, name)(q, p)
        return found if np.ndim(found) == 0 else np.sum(found, axis=axis)

    assert "has shape (), (3,) is right" in learn.check(f"gaussian.{name}", **{name: wrong}).says


def test_a_t_that_is_not_lined_up_with_the_points_is_pointed_out():
    def marginal(schedule, x_0, t):
        return np.sqrt(schedule.alpha_bar[t]) * x_0, 1 - schedule.alpha_bar[t]

    assert learn.check("forward.marginal", marginal).says.endswith(
        "t = schedule.index(t, x) lines it up with points x."
    )
    assert "lines it up" not in learn.check("posterior.var", with_beta).says


def test_names_may_be_short_where_they_are_clear():
    assert learn.resolve("gaussian.kl") == "gaussian.kl"
    assert learn.resolve("posterior.var") == "bayes.posterior_var"
    names = [key.partition(".")[2] for key in verify.CATALOGUE]
    twice = next(name for name in names if names.count(name) > 1)
    with pytest.raises(ValueError, match=r"give the whole key"):
        learn.resolve(twice)
    with pytest.raises(ValueError, match=r"Did you mean bayes\.posterior_mean"):
        learn.resolve("posterior.meen")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: learn.check("posterior.mean"), "needs a function of yours, in the place of bayes.posterior"),
        (lambda: learn.check("posterior.mean", prior=right), "is not about 'prior', but about posterior"),
        (lambda: learn.check("posterior.mean", Gaussian([0.0], 1.0)), "it was called, not handed over"),
    ],
)
def test_what_is_no_function_of_the_identity_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_a_function_prints_does_not_hide_the_answer(capsys):
    def chatty(schedule, x_0, x_t, t):
        print("here")
        return right(schedule, x_0, x_t, t)

    assert learn.check("posterior.mean", chatty).solved


def test_an_answer_escapes_what_it_shows_as_html():
    def marked(*args):
        raise ValueError("<b>")

    assert "&lt;b&gt;" in learn.check("posterior.mean", marked)._repr_html_()


def test_a_solution_is_the_librarys_own_source():
    solution = learn.solution("posterior.mean")
    assert solution.startswith("def posterior(schedule, x_0, x_t, t):")
    assert '"""' not in solution
    scope = dict(vars(bayes))
    exec(solution, scope)
    assert learn.check("posterior.mean", scope["posterior"]).solved


@pytest.mark.parametrize(
    ("key", "equation"),
    [
        ("parameterize.mean_from_eps", "(x_t - c_eps * eps) / np.sqrt(schedule.alpha[t])"),
        ("reverse.even_steps", "np.arange(1, number + 1) * T // number"),
        ("continuous.probability_flow_drift", "0.5 * sde.diffusion(s) ** 2 * gradient"),
    ],
)
def test_a_solution_shows_the_equation_where_the_function_only_hands_on(key, equation):
    assert equation in learn.solution(key)


@pytest.mark.parametrize("key", verify.CATALOGUE)
def test_every_identity_has_a_solution_to_show_or_judges_only_values(key):
    judged = [name for name in verify.CATALOGUE[key].judges if learn.has_source(name)]
    assert judged
    array = key.partition(".")[2]
    if "schedule.Schedule.from_betas" in judged and hasattr(Schedule.linear(), array):
        assert learn.solution(key).splitlines()[-1].startswith(f"{array} = ")
    else:
        assert learn.solution(key).count("def ") >= len(judged)


@pytest.mark.parametrize("array", ["alpha_bar", "one_minus_alpha_bar", "snr", "log_snr", "beta_tilde"])
def test_the_lines_shown_for_an_array_of_a_schedule_compute_it(array):
    beta = np.array([0.3, 0.1, 0.5])
    scope = {"np": np, "running_sum": running_sum, "beta": np.append(0.0, beta)}
    lines = learn.answer._lines_of_array(array)
    with np.errstate(divide="ignore"):  # at t = 0 the SNR is infinite
        exec(lines.replace("np.log1p(-beta)", "np.log1p(-beta[1:])"), scope)
    np.testing.assert_allclose(scope[array], getattr(Schedule.from_betas(beta), array))


def test_a_solution_shows_where_the_equation_goes_on():
    assert "def quadratic_constant" in learn.solution("log_c_2")
    assert "beta_tilde = np.append(0.0" in learn.solution("posterior.var")


def test_a_name_that_does_not_exist_is_refused():
    with pytest.raises(AttributeError):
        learn.source("bayes.prior")
    with pytest.raises(AttributeError, match="refdiff has no 'nothing'"):
        learn.source("nothing")
