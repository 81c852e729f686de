"""Code over one fixed schedule before the judge: folded chains, tables, and what the door says."""

import importlib
import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from refdiff import Schedule, bayes, forward, parameterize, verify
from refdiff.verify.adapters import from_betas
from refdiff.verify.adapters.betas import CHAPTER, FUNCTIONS, TABLES
from refdiff.verify.cases import RandomSource
from refdiff.verify.evidence import stream
from refdiff.verify.oracles import condition, dense_joint

SCHEDULES = {
    "linear": Schedule.linear(),
    "cosine": Schedule.cosine(),
    "few": Schedule.vp(20),
    "coarse": Schedule.from_betas([0.3, 0.1, 0.5, 0.2, 0.4]),
    "two": Schedule.from_betas([0.5, 0.5]),
}
LINEAR = SCHEDULES["linear"]
BETAS = LINEAR.beta[1:]


def right(name, schedule):
    """Refdiff's function without its schedule."""
    function = getattr(importlib.import_module(f"refdiff.{CHAPTER[name]}"), name)
    return lambda *args: function(schedule, *args)


def refuted(**functions):
    return verify.judge(from_betas(BETAS, **functions), budget="quick").refuted


@pytest.mark.parametrize("name", SCHEDULES)
def test_right_functions_and_tables_pass_on_every_schedule(name):
    schedule = SCHEDULES[name]
    functions = {one: right(one, schedule) for one in CHAPTER}
    tables = {one: getattr(schedule, one) for one in TABLES}
    report = verify.judge(from_betas(schedule.beta[1:], **functions, **tables), budget="quick")
    assert report.refuted == []
    assert report.inconclusive == []
    assert {f"every_t.{one}" for one in CHAPTER} | {f"table.{one}" for one in TABLES} <= set(report.verdicts)
    assert {"bayes.posterior_mean", "forward.marginal", "parameterize.x_0_from_eps"} <= set(report.verdicts)


def test_what_cannot_be_folded_is_not_provided():
    report = verify.judge(from_betas(BETAS, posterior=right("posterior", LINEAR)), budget="quick")
    assert {"reverse.sample", "elbo.denoising_form", "schedule.alpha_bar"} <= set(report.not_provided)
    assert set(report.verdicts) == {"every_t.posterior", "bayes.posterior_mean", "bayes.posterior_var"}


@pytest.mark.parametrize("t", [2, 3, 40, 999, 1000])
def test_a_folded_chain_has_the_posterior_of_the_whole_one(t):
    mine = from_betas(BETAS, posterior=right("posterior", LINEAR))
    case = mine._fold(RandomSource(stream("fold", t)), t)
    mean, cov = dense_joint(case.beta, case.x_0)
    of_dense = condition(mean, cov, case.t - 1, {case.t: case.x_t})
    q = bayes.posterior(LINEAR, case.x_0, case.x_t, t)
    np.testing.assert_allclose(of_dense[0], q.mean, rtol=1e-9)
    np.testing.assert_allclose(np.full(case.d, of_dense[1]), q.var, rtol=1e-9)
    assert len(case.beta) == min(t, 3)


def test_the_function_is_called_at_its_own_t_of_its_own_schedule():
    asked = []

    def posterior(x_0, x_t, t):
        asked.append(t)
        return bayes.posterior(LINEAR, x_0, x_t, t + 1)

    mine = from_betas(BETAS, first_t=0, posterior=posterior)
    case = mine._fold(RandomSource(stream("own t")), 700)
    mine.bayes.posterior(case.schedule, case.x_0, case.x_t, 3)
    assert asked == [699]
    points = np.tile(case.x_0, (3, 1))
    found = mine.bayes.posterior(case.schedule, points, points, np.array([1, 2, 3]))
    assert asked == [699, 699], "steps 1 and 2 of the folded chain are none of its own"
    np.testing.assert_allclose(found.mean, bayes.posterior(case.schedule, points, points, [1, 2, 3]).mean, rtol=1e-9)


def test_functions_may_take_the_schedule_and_return_pairs_or_tensors_of_any_kind():
    class Tensor:
        def __init__(self, array):
            self.array = array

        def detach(self):
            return self

        cpu = detach

        def numpy(self):
            return self.array

    def posterior(schedule, x_0, x_t, t):
        assert schedule.T == 1000
        q = bayes.posterior(schedule, x_0, x_t, t)
        return Tensor(q.mean), Tensor(q.var)

    def marginal(x_0, t):
        return SimpleNamespace(mean=forward.marginal(LINEAR, x_0, t).mean, var=LINEAR.one_minus_alpha_bar[t])

    assert refuted(posterior=posterior, marginal=marginal, alpha_bar=Tensor(LINEAR.alpha_bar)) == []


@pytest.mark.parametrize(
    ("name", "wrong", "key"),
    [
        (
            "posterior",
            lambda x_0, x_t, t: (bayes.posterior(LINEAR, x_0, x_t, t).mean, LINEAR.beta[t]),
            "bayes.posterior_var",
        ),
        ("posterior", lambda x_0, x_t, t: bayes.posterior(LINEAR, x_t, x_0, t), "bayes.posterior_mean"),
        ("marginal", lambda x_0, t: (LINEAR.alpha_bar[t] * x_0, LINEAR.one_minus_alpha_bar[t]), "forward.marginal"),
        ("transition", lambda x, t: (LINEAR.alpha[t] * x, LINEAR.beta[t]), "forward.transition"),
        ("diffuse", lambda x, eps, t: forward.diffuse(LINEAR, x, -eps, t), "forward.diffuse"),
        ("x_0_from_v", lambda x, v, t: parameterize.x_0_from_v(LINEAR, x, -v, t), "parameterize.x_0_from_v"),
        ("score_from_eps", lambda x, eps, t: -eps, "parameterize.score_from_eps"),
        ("jump", lambda x, s, t: forward.marginal(LINEAR, x, t - s), "forward.jump"),
    ],
)
def test_a_wrong_function_is_refuted_at_every_t_and_by_the_catalogue(name, wrong, key):
    found = refuted(**{name: wrong})
    assert f"every_t.{name}" in found
    assert key in found


def test_a_function_wrong_at_one_t_is_refuted_there():
    def x_0_from_eps(x_t, eps, t):
        return parameterize.x_0_from_eps(LINEAR, x_t, eps, t - (t == 617))

    verdict = verify.judge(from_betas(BETAS, x_0_from_eps=x_0_from_eps)).verdicts["every_t.x_0_from_eps"]
    assert (verdict.status, verdict.first_t) == ("refuted", 617)


def test_a_function_counted_from_the_wrong_step_is_refuted():
    one_late = right("posterior", LINEAR)
    assert "every_t.posterior" in verify.judge(from_betas(BETAS, first_t=0, posterior=one_late), budget="quick").refuted


@pytest.mark.parametrize("name", TABLES)
def test_a_table_with_one_wrong_entry_is_refuted_at_its_t(name):
    table = getattr(LINEAR, name)[1:].copy()
    assert refuted(**{name: table}) == []
    table[416] *= 1.001
    table[416] += 1e-4 * (name == "log_snr")
    verdict = verify.judge(from_betas(BETAS, **{name: table}), budget="quick").verdicts[f"table.{name}"]
    assert (verdict.status, verdict.first_t) == ("refuted", 417)
    verdict = verify.judge(from_betas(BETAS, first_t=0, **{name: table}), budget="quick").verdicts[f"table.{name}"]
    assert verdict.first_t == 416


def test_tables_may_start_with_clean_data_and_may_be_functions_of_t():
    assert refuted(alpha_bar=LINEAR.alpha_bar, beta_tilde=lambda t: LINEAR.beta_tilde[t]) == []


def test_float32_passes_at_its_own_precision_and_fails_at_that_of_float64():
    alpha_bar = np.cumprod(1 - BETAS.astype(np.float32))
    rest = (1 - alpha_bar).astype(float)
    alpha_bar = alpha_bar.astype(float)

    def marginal(x_0, t):
        return np.sqrt(alpha_bar[t - 1]) * x_0, rest[t - 1]

    tables = {"alpha_bar": alpha_bar, "one_minus_alpha_bar": rest, "marginal": marginal}
    assert verify.judge(from_betas(BETAS, precision=1e-3, **tables), budget="quick").refuted == []
    assert "table.one_minus_alpha_bar" in refuted(**tables)


def test_wrong_answers_are_refutations_with_their_message():
    def fails(x_0, x_t, t):
        raise RuntimeError("boom")

    report = verify.judge(from_betas(BETAS, posterior=fails), budget="quick")
    assert set(report.refuted) == set(report.verdicts)
    assert all("boom" in verdict.why for verdict in report.verdicts.values())
    for bad, word in ((lambda x_0, x_t, t: x_0, "law"), (lambda x_0, x_t, t: (x_0[:1], 1.0), "shape")):
        report = verify.judge(from_betas(BETAS, posterior=bad), only="bayes", budget="quick")
        assert report.refuted
        assert word in report.verdicts["bayes.posterior_mean"].why
    nan = verify.judge(from_betas(BETAS, marginal=lambda x_0, t: (np.nan * x_0, 1.0)), budget="quick")
    assert "every_t.marginal" in nan.refuted


@pytest.mark.parametrize(
    ("betas", "options", "message"),
    [
        ([0.1, 0.2], {"posterier": abs}, "nearest: posterior"),
        ([0.1, 0.2], {"alphas_cumprod": [0.9, 0.7]}, "nearest: "),
        ([0.1, 0.2], {"alpha_bar": [0.9]}, "T = 2 entries, or T \\+ 1"),
        ([0.1, 0.2], {"posterior": 3}, "posterior must be a function; got int"),
        ([0.1, 0.2], {}, "something to judge"),
        ([0.1, 0.2], {"first_t": 2, "alpha_bar": [0.9, 0.72]}, "1 or 0; got 2"),
        ([0.1, 0.2], {"precision": 0, "alpha_bar": [0.9, 0.72]}, "relative error"),
        ([0.0, 0.1, 0.2], {"alpha_bar": abs}, "beta_0 = 0 in front"),
        ([0.1, 1.0], {"alpha_bar": abs}, r"betas\[1\] = 1.0"),
        ([0.1, np.nan], {"alpha_bar": abs}, "nan"),
        ([0.1], {"alpha_bar": abs}, "T >= 2"),
        ([[0.1, 0.2]], {"alpha_bar": abs}, r"shape \(1, 2\)"),
        (1 - np.linspace(1e-4, 0.02, 10), {"alpha_bar": abs}, "look like 1 - beta"),
        (np.cumprod(1 - np.linspace(0.05, 0.5, 10)), {"alpha_bar": abs}, "look like alpha_bar"),
        (["a", "b"], {"alpha_bar": abs}, "real numbers"),
    ],
)
def test_the_door_says_what_is_wrong_and_why(betas, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        from_betas(betas, **options)


def test_the_same_names_stand_in_refdiff():
    for chapter, names in FUNCTIONS.items():
        module = importlib.import_module(f"refdiff.{chapter}")
        for name in names:
            assert name in module.__all__
            assert next(iter(inspect.signature(getattr(module, name)).parameters)) == "schedule"
    assert all(hasattr(LINEAR, name) for name in TABLES)


PAGE = Path(__file__).parents[2] / "docs" / "judge.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_code_of_the_page_runs(number, capsys):
    for package in ("torch", "diffusers"):
        if re.search(rf"^(import|from) {package}\b", BLOCKS[number], flags=re.MULTILINE):
            pytest.importorskip(package)
    exec(compile(BLOCKS[number], str(PAGE), "exec"), {"__name__": "page"})


def test_the_recipes_are_short():
    assert len(BLOCKS) == 4
    for block in BLOCKS[1:]:
        code = [line for line in block.splitlines() if line.strip() and not line.startswith(("import", "from"))]
        assert len(code) <= 20


def test_adapters_import_nothing_of_other_people():
    import subprocess
    import sys

    code = "import sys, refdiff.verify.adapters; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "diffusers"} & {name.partition(".")[0] for name in loaded}
