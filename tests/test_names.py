"""An error calls an argument by the name that stands in the signature, whichever argument of whichever function."""

import importlib
import inspect

import numpy as np
import pytest

import refdiff
from refdiff.continuous import VE, VP, SubVP
from refdiff.elbo import Bound
from refdiff.gaussian import FullGaussian, Gaussian
from refdiff.guidance import LabelledMixture
from refdiff.likelihood import Ais
from refdiff.mixture import GaussianMixture, PointwiseMixture
from refdiff.network import MLP
from refdiff.schedule import Schedule

SCHEDULE = Schedule.from_betas([0.3, 0.1, 0.5, 0.2])
X = np.full((4, 2), 0.5)
LAW = Gaussian(X, 1.0)


def zero(x_t, t):
    return np.zeros_like(x_t)


def field(x, t=None):
    return -np.asarray(x)


VALUES = {  # a right value for each argument, by its name
    **dict.fromkeys(["eps", "mean", "score", "v", "x", "x_0", "x_1", "x_T", "x_next", "x_prev", "x_s", "x_t"], X),
    **{"schedule": SCHEDULE, "denoiser": zero, "chain": np.full((5, 4, 2), 0.5), "rng": np.random.default_rng(0)},
    **{"s": 1, "t": 2, "d": 2, "n": 3, "k": 1, "n_chains": 2, "bins": 4, "group": 2, "gamma": 5.0, "T": 3, "steps": 2},
    **{"slope": 0.5, "intercept": 0.1, "variance": "beta", "decoder": "gaussian", "decoder_var": "beta_1"},
    **{"p": LAW, "q": LAW, "a": 0.5, "b": 0.5, "cov": 0.1, "nats": 1.0, "precision": 2.0, "precision_mean": X},
    **{"weights": [1.0], "means": X[:1], "variances": 1.0, "nats": 1.0, "var": 1.0, "std": 1.0, "beta": [0.1, 0.2]},
    **{"beta_1": 0.1, "beta_T": 0.2, "beta_min": 0.1, "beta_max": 2.0, "max_beta": 0.9, "log_weights": X},
    **{"mixture": GaussianMixture([1.0], X[:1], 1.0), "eps_loss": np.full(4, 0.1), "probability": np.full(4, 0.25)},
    **{"width": 4, "depth": 1, "time_dim": 4, "dim": 2, "value": [1.0], "eta": 0.5},
    **{"x_0_hat": X, "x_0_hat_before": X, "t_before": 3, "number": 2},
    **{"times": [0.5, 0.25], "h": 0.1, "churn": 0.5, "inflation": 1.0, "corrections": 1, "rho": 7.0, "stop": 0.1},
    **{"sde": VP(), "u": 1, "start": 0.2, "log_snr": 0.0, "divergence": lambda x, s: np.zeros(x.shape[:-1])},
}
LABELLED = LabelledMixture(GaussianMixture([0.5, 0.5], [[0.0, 0.0], [1.0, 1.0]], 1.0), [0, 1])
VALUES |= {"labelled": LABELLED, "y": 1, "w": 0.5, "conditional": zero, "unconditional": zero, "classifier_score": zero}
POINTWISE = {"weights": np.ones((4, 1)), "means": np.zeros((4, 1, 2)), "variances": np.ones((4, 1, 2))}
OTHERWISE = {  # where a name means another thing
    "schedule.constant": {"beta": 0.1},
    "schedule.cosine": {"s": 0.1},
    "gaussian.full_kl": dict.fromkeys("qp", FullGaussian([0.0, 0.0], np.eye(2))),
    "reverse.ddim": {"steps": 2},
    "reverse.ddim_path": {"steps": 2},
    **{f"reverse.{name}": {"steps": 2} for name in ["dpmpp_2m", "dpmpp_2m_path", "heun", "heun_path"]},
    "reverse.interpolated_var": {"v": np.full(5, 0.5)},
    "reverse.optimal_var": {"eps_loss": np.full(5, 0.1)},
    "elbo.discretized_log_likelihood": {"x": [-1.0, 1.0], "mean": [0.0, 0.0]},
    "elbo.loss_aware_probability": {"mean_square": np.ones(5)},
    "elbo.ladder": {"x_0": np.full((128, 2), 0.5)},
    **{
        f"continuous.{name}": {"score": zero, "probes": X[None]}
        for name in ["divergence", "fokker_planck", "hutchinson", "probability_flow", "probability_flow_drift"]
    },
    **{f"continuous.{name}": {"score": zero} for name in ["probability_flow_log_density", "reverse_drift"]},
    **{
        f"continuous.{name}": {"score": zero}
        for name in ["edm", "edm_path", "euler", "euler_maruyama", "euler_maruyama_path", "euler_path", "heun"]
    },
    **{
        f"continuous.{name}": {"score": zero}
        for name in ["heun_path", "predictor_corrector", "predictor_corrector_path"]
    },
    "continuous.euler_maruyama_transition": {"score": zero, "u": 0.5, "s": 0.25},
    "continuous.VP.schedule": {"T": 30},
    "gaussian.FullGaussian": {"mean": [0.0, 0.0], "cov": np.eye(2)},
    "gaussian.FullGaussian.log_density": {"x": [0.0, 0.0]},
    "gaussian.FullGaussian.condition": {"known": [0]},
    "mixture.PointwiseMixture": POINTWISE,
    "mixture.PointwiseMixture.log_density": {"y": X},
    "guidance.LabelledMixture": {"mixture": LABELLED.mixture, "labels": [0, 1]},
    "guidance.LabelledMixture.denoiser": {"y": 1},
    **{
        f"guidance.{name}": {"conditional": LAW, "unconditional": Gaussian(X, 2.0)}
        for name in ["tilted", "guided_flow", "guided_flow_limit", "guided_ancestral_limit"]
    },
}
OTHERWISE |= {  # a score is a callable there
    f"score.{name}": {"score": field, "true_score": field, "eps_loss": np.full(5, 0.1), "h": 0.1, "beta": 0.1, "y": X}
    | {"log_density": lambda x: -np.sum(x**2, axis=-1)}
    for name in refdiff.score.__all__
}
NO_NUMBERS = {"schedule", "mixture", "sde", "p", "q", "f", "known", "progress", "tolerance", "name", "least"}
NO_NUMBERS |= {"point_mass", "last_may_be_one", "keep_terms", "residual", "dtype", "denoise"}
OBJECTS = {
    "gaussian.Gaussian": LAW,
    "gaussian.FullGaussian": FullGaussian([0.0, 0.0], np.eye(2)),
    "mixture.GaussianMixture": VALUES["mixture"],
    "mixture.PointwiseMixture": PointwiseMixture(**POINTWISE),
    "schedule.Schedule": SCHEDULE,
    **{"continuous.VP": VP(), "continuous.VE": VE(), "continuous.SubVP": SubVP()},
    "guidance.LabelledMixture": LABELLED,
    "elbo.Bound": Bound(X[:, 0], None, X[:, 0], 2, X[:, 0]),
    "likelihood.Ais": Ais(X),
}
PASSED_ON = {  # arguments that are refused otherwise, and why
    "bayes.log_c_1-d": "a number of coordinates, multiplied as it is",
    "gaussian.FullGaussian.sample-n": "a shape for NumPy, which refuses it",
    "mixture.PointwiseMixture-weights": "made by posterior_x_0 and reverse_kernel, which have checked",
    "mixture.PointwiseMixture-means": "as its weights",
    "mixture.PointwiseMixture-variances": "as its weights",
    "reverse.decoder_var-convention": "called decoder_var, as where it comes from",
    "schedule.index-x": "points that the caller has checked",
    "schedule.Schedule.index-x": "points that the caller has checked",
}
RECORDS = {"schedule.Schedule", "elbo.Bound", "elbo.Rung", "likelihood.Ais"}  # made by functions that checked


def callables():
    """Yield each public function, class and method of the chapters with its name."""
    for chapter in refdiff.CHAPTERS:
        module = importlib.import_module(f"refdiff.{chapter}")
        for name in module.__all__:
            found, dotted = getattr(module, name), f"{chapter}.{name}"
            if dotted not in RECORDS:
                yield dotted, found
            for method, static in vars(found).items() if inspect.isclass(found) and dotted in OBJECTS else ():
                public = method.isascii() and not method.startswith("_")  # the copies that mutmut makes are not ASCII
                if public and inspect.isroutine(getattr(OBJECTS[dotted], method, None)):
                    short = isinstance(static, classmethod)
                    yield f"{chapter}.{method}" if short else f"{dotted}.{method}", getattr(OBJECTS[dotted], method)
    yield "network.MLP", MLP


CALLABLES = dict(callables())
ARGUMENTS = [
    (name, argument)
    for name, found in CALLABLES.items()
    for argument in inspect.signature(found).parameters
    if argument not in NO_NUMBERS and f"{name}-{argument}" not in PASSED_ON
]


def called(name, **changed):
    """Call a function with right values but for those changed; run it if it is a generator."""
    found = CALLABLES[name]
    own = OTHERWISE.get(name, {})
    right, needed = VALUES | own, inspect.signature(found).parameters.items()
    given = {key: right[key] for key, one in needed if one.default is inspect.Parameter.empty or key in own}
    out = found(**given | changed)
    return list(out) if inspect.isgenerator(out) else out


@pytest.mark.parametrize("name", CALLABLES)
def test_the_values_beside_a_wrong_one_are_right(name):
    if name != "mixture.GaussianMixture.expectation":
        called(name)


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_text_in_place_of_an_argument_is_refused_by_its_name(name, argument):
    decodes = "decoder" in inspect.signature(CALLABLES[name]).parameters
    beside = {"decoder": "discretized"} if decodes and argument == "bins" else {}  # bins mean nothing to the other
    with pytest.raises((TypeError, ValueError)) as refusal:
        called(name, **{argument: "text"}, **beside)
    assert str(refusal.value).startswith(f"{argument} "), refusal.value
