r"""Arguments for any formula of the chapters, drawn from the names of its parameters, in tables of many rows.

A row is one call: one t, one point of each kind. The tables come in the order of what a reader would check by hand: two
steps and one coordinate first, schedules of a thousand steps last, since these hide most errors.
"""

import inspect
import itertools
import warnings
from dataclasses import dataclass, field

import numpy as np

from refdiff import parameterize
from refdiff.gaussian import FullGaussian, Gaussian
from refdiff.mixture import GaussianMixture
from refdiff.schedule import Schedule
from refdiff.verify.cases import DESIGNED, HAND, Case, RandomSource
from refdiff.verify.evidence import stream

__all__ = ["PREDICTIONS", "Table", "tables"]

PREDICTIONS = ("x_0", "eps", "v", "score", "mean")
POINTS = (
    *("x_0", "x_t", "x_prev", "x_next", "x_s", "x_1", "x", "eps", "v", "score", "mean", "precision_mean"),
    *("x_0_hat", "x_0_hat_before"),
)
SMALL = 1e-7  # the relative change of an argument by which its sensitivity is found


@dataclass(frozen=True)
class Linear:
    """A denoiser linear in x_t and in t: one that forgets to look at t, or looks at another, is found out."""

    slope: float
    intercept: float
    T: int

    def __call__(self, x_t, t):
        """Return eps_hat."""
        t = np.asarray(t)
        return self.slope * np.asarray(x_t) + self.intercept * (t[..., None] if t.ndim else t) / self.T

    def __str__(self):
        return f"{self.slope:g} x_t {self.intercept:+g} t / {self.T}"


@dataclass
class Table:
    """Calls of one formula on one schedule: its arguments by name, those of `rows` with one entry a call.

    Attributes
    ----------
    label : str
        What the case is called.
    arguments : dict
        Name of a parameter to its value.
    rows : frozenset
        The names of those with a leading axis of n calls.
    options : dict
        Parameters with a default that were given another value, or a named one.
    t : ndarray or None
        The step of each row.
    by_hand : bool
        Whether it is small enough to be checked by hand.
    long : bool
        Whether it has too many rows to call them one by one.
    """

    label: str
    arguments: dict
    rows: frozenset
    options: dict = field(default_factory=dict)
    t: np.ndarray | None = None
    by_hand: bool = False
    long: bool = False

    @property
    def n(self):
        """The number of rows, or None where the formula is called once."""
        names = [name for name in self.arguments if name in self.rows]
        return _length(self.arguments[names[0]]) if names else None

    @property
    def d(self):
        """The number of coordinates of a point, or None."""
        for value in self.arguments.values():
            if isinstance(value, Gaussian | FullGaussian):
                return value.mean.shape[-1]
        points = [self.arguments[name] for name in (*POINTS, "chain") if name in self.arguments]
        return points[0].shape[-1] if points and np.ndim(points[0]) else None

    @property
    def schedule(self):
        """The schedule among the arguments, or None."""
        return next((one for one in self.arguments.values() if isinstance(one, Schedule)), None)

    def keep(self, mask):
        """Return the table of the rows chosen."""
        kept = {name: take(v, mask) if name in self.rows else v for name, v in self.arguments.items()}
        t = None if self.t is None else self.t[mask]
        return Table(self.label, kept, self.rows, self.options, t, self.by_hand, self.long)

    def quantity(self, name):
        """Return a quantity by name, and whether it has one entry a row: an argument, or what follows from them.

        Raises
        ------
        KeyError
            If the arguments don't determine it.
        """
        if name in self.arguments:
            return self.arguments[name], name in self.rows
        if name in ("t from 0", "s from 0"):
            return self.arguments[name[0]] - 1, name[0] in self.rows
        if name in ("T", "d") and getattr(self, "schedule" if name == "T" else "d") is not None:
            return (self.schedule.T if name == "T" else self.d), False
        if name.startswith("denoiser of "):
            return self._denoiser_of(name.removeprefix("denoiser of ")), False
        if name in (*PREDICTIONS, "x_t") and self.schedule is not None:
            return self._prediction(name), True
        array, _, first = name.partition(" from ")
        if self.schedule is not None and array in Schedule.__dataclass_fields__ and first:
            return getattr(self.schedule, array)[int(first) :], False
        if array in self.options:
            return self.options[array], False
        raise KeyError(name)

    def _prediction(self, name):
        """Return x_0, eps, v, the score, the mean or x_t, from x_t and the one of them that is given (or x_0, eps)."""
        schedule, t, given = self.schedule, self.arguments["t"], self.arguments
        if "x_t" in given:
            (have,) = (one for one in PREDICTIONS if one in given)
            x_t, x_0 = given["x_t"], given[have]
            if have != "x_0":
                x_0 = getattr(parameterize, f"x_0_from_{have}")(schedule, x_t, x_0, t)
        else:
            x_0, eps = given["x_0"], given["eps"]
            x_t = schedule.signal_rate[t][..., None] * x_0 + schedule.noise_rate[t][..., None] * eps
        if name in ("x_0", "x_t"):
            return x_0 if name == "x_0" else x_t
        return getattr(parameterize, f"{name}_from_x_0")(schedule, x_t, x_0, t)

    def _denoiser_of(self, name):
        """Return the denoiser as one that predicts something else than eps."""
        denoiser, convert = self.arguments["denoiser"], getattr(parameterize, f"{name}_from_eps")
        return lambda x_t, t: convert(self.schedule, np.asarray(x_t), denoiser(x_t, t), t)

    def perturbed(self):
        """Yield the arguments again and again, each time with one of them changed by rounding, so to speak."""
        for name, value in self.arguments.items():
            for k in range(2):
                rng = np.random.default_rng(k)
                if (moved := _perturb(value, rng, k)) is not None:
                    yield {**self.arguments, name: moved}


def _length(value):
    return len(value.mean) if isinstance(value, Gaussian) else len(value)


def take(value, index):
    """Return the rows `index` of a value that has one entry a row."""
    if isinstance(value, Gaussian):
        return Gaussian(value.mean[index], value.var[index])
    return value[index]


def _perturb(value, rng, k):
    """Return a value changed by 1e-7 of itself, the same way everywhere (k = 0) or with random signs; or None."""

    def change(x):
        return x * (1 + SMALL * (1 if k == 0 else rng.choice([-1.0, 1.0], np.shape(x))))

    if isinstance(value, float) or (isinstance(value, np.ndarray) and value.dtype.kind == "f"):
        return change(np.asarray(value)) if np.ndim(value) else float(change(value))
    if isinstance(value, Schedule):
        return Schedule.from_betas(change(value.beta[1:]))
    if isinstance(value, Gaussian):
        return Gaussian(change(value.mean), value.var * (1 + SMALL))
    if isinstance(value, FullGaussian):
        stretch = change(np.ones(value.mean.size))
        return FullGaussian(change(value.mean), value.cov * np.outer(stretch, stretch))
    if isinstance(value, GaussianMixture):
        return GaussianMixture(value.weights, change(value.means), change(value.variances))
    return None


def tables(name, function, seed=0):
    """Return the tables for a formula: by hand, the designed cases, drawn ones, and long named schedules.

    Parameters
    ----------
    name : str
        Dotted, such as "bayes.posterior".
    function : callable
        Whose parameters are to be drawn.
    seed : int

    Returns
    -------
    list of Table

    Raises
    ------
    ValueError
        If a parameter is of a kind that is not drawn.
    """
    parameters = inspect.signature(function).parameters.values()
    required = [one.name for one in parameters if one.default is one.empty]
    optional = [one.name for one in parameters if one.default is not one.empty]
    found = []
    for label, case, by_hand, long in _cases(name, seed):
        rng = stream("compare", name, seed, label)
        values, rows, t = _values(name, case, rng, required, 1 if by_hand else 2, long)
        for parameter in required:
            if parameter not in values:
                raise ValueError(f"{name} takes {parameter}, of which refdiff draws none.")
        arguments = {parameter: values[parameter] for parameter in required}
        in_rows = frozenset(rows) & frozenset(required)
        if isinstance(case, dict):  # a constructor: its T, and what else it is given
            arguments = {key: value for key, value in case.items() if key == "T" or key in required}
        for options in _options(name, case, optional, long):
            given = dict(arguments)
            if options.get("decoder") == "discretized":  # whose data lie on bins
                if "x_0" not in given:
                    continue
                given["x_0"] = np.clip(np.round(given["x_0"] * 4), -8, 7) / 7.5 + 1 / 15
            said = label if isinstance(case, dict) else _say(label, options)
            table = Table(said, given, in_rows, options, t, by_hand, long)
            if (kept := _where_it_is_defined(function, table)) is not None:
                found.append(kept)
    return found


def _cases(name, seed):
    """Yield (label, case, by hand?, long?)."""
    if name.startswith("schedule.Schedule.") and name.rpartition(".")[2] in CONSTRUCTORS:
        for k, arguments in enumerate(CONSTRUCTORS[name.rpartition(".")[2]]):
            yield ", ".join(f"{key} = {value}" for key, value in arguments.items()), arguments, k == 0, False
        return
    source = RandomSource(stream("compare", name, seed))
    plane = Case(**{**fields_of(HAND[3]), "x_0": (2.0, 1.0), "x_t": (1.0, 3.0), "eps": (-1.0, 2.0)})
    for case in (HAND[0], HAND[1], plane):
        yield _betas(case), case, True, False
    for case in (*DESIGNED, *(Case.draw(source) for _ in range(5))):
        yield _betas(case), case, False, False
    if name.startswith("likelihood.linear") or name.endswith("_on_chain"):  # too many numbers, or too slow
        return
    for label in ("linear(1000)", "cosine(1000)", "scaled_linear(1000)"):
        yield label, label, False, True


def fields_of(case):
    """Return the fields of a case as a dict."""
    return {key: getattr(case, key) for key in Case.__dataclass_fields__}


def _betas(case):
    return f"beta = ({', '.join(f'{beta:g}' for beta in case.beta)})"


def _say(label, options):
    said = [f"{key} = {value!r}" for key, value in options.items() if isinstance(value, str | float | int)]
    return ", ".join([label, *said])


CONSTRUCTORS = {
    "linear": [
        {"T": 3, "beta_1": 0.1, "beta_T": 0.5},
        {"T": 7, "beta_1": 0.3, "beta_T": 0.05},
        {"T": 1000},
        {"T": 4000, "beta_1": 2.5e-5, "beta_T": 0.005},
    ],
    "cosine": [{"T": 3}, {"T": 5, "s": 0.1, "max_beta": 0.9}, {"T": 50}, {"T": 1000}, {"T": 4000}],
    "constant": [{"T": 3, "beta": 0.5}, {"T": 7, "beta": 0.1}, {"T": 1000, "beta": 0.005}],
    "reciprocal": [{"T": 3}, {"T": 8}, {"T": 1000}],
    "vp": [{"T": 3, "beta_min": 0.2, "beta_max": 3.0}, {"T": 10}, {"T": 1000}],
}
CONSTRUCTORS["scaled_linear"] = CONSTRUCTORS["sigmoid"] = CONSTRUCTORS["linear"]


def _values(name, case, rng, required, repeats, long):
    """Return values for all parameters that refdiff draws, the names of those with rows, and the t of the rows."""
    if isinstance(case, dict):
        return dict(case), (), None
    schedule = case.schedule if isinstance(case, Case) else getattr(Schedule, case.partition("(")[0])(1000)
    case, d = (case, case.d) if isinstance(case, Case) else (DESIGNED[0], 2)
    chain = np.round(2 * rng.standard_normal((schedule.T + 1, 5, d)), 2)
    steps = np.arange(1, schedule.T + 1)
    if "s" in required:
        if long:
            pairs = np.array([*((t // 2, t) for t in steps), *((t - 1, t) for t in steps)])
        else:
            both = name == "forward.covariance"  # which is symmetric
            pairs = np.array([(s, t) for t in steps for s in (steps if both else range(t))])
        s, t = pairs.T
    else:
        s, t = None, np.repeat(steps, 1 if long else repeats)
    n = len(t) if "t" in required else 5 * repeats - 4

    def point(of_case):
        """Return the point of the case in the first row of each t, others in the others."""
        x = np.round(2 * rng.standard_normal((n, d)), 2)
        x = np.where(np.abs(x) < 0.25, 0.25, x)  # what is 0 by accident has no size to be relative to
        x[:: repeats if "t" in required else max(n, 1)] = of_case
        return x

    x_0, x_t, eps = point(case.x_0), point(case.x_t), point(case.eps)
    var_q, var_p = (var * np.round(np.exp(rng.uniform(-0.5, 0.5, (n, d))), 2) for var in (case.var_q, case.var_p))
    var_q[0], var_p[0] = case.var_q, case.var_p
    fraction = np.round(rng.uniform(0.1, 0.9, schedule.T + 1), 2)
    values = {
        **dict.fromkeys(("x_0", "x_next", "x_s", "precision_mean", "x_0_hat"), x_0),
        **dict.fromkeys(("x_t", "x", "x_1"), x_t),
        **dict.fromkeys(("eps", "v", "score", "mean", "x_prev", "x_0_hat_before"), eps),
        "schedule": schedule,
        "denoiser": Linear(case.slope, case.intercept, schedule.T),
        "eta": 0.6,
        "chain": chain,
        "mean_square": np.append(1.0, np.abs(chain[1:, 0, 0])),
        "t": t,
        "s": s,
        "t_before": np.minimum(t + 1, schedule.T),
        "d": d,
        "q": Gaussian(x_0, var_q),
        "p": Gaussian(x_t, var_p),
        "a": case.slope,
        "b": 1 + case.slope,
        "precision": 1 / var_q,
        "nats": x_0[:, 0],
        "eps_loss": fraction,
        "slope": case.slope,
        "intercept": case.intercept,
        "mixture": case.mixture,
        "beta": schedule.beta[1:],
        "steps": np.unique(np.append(steps[::2], schedule.T)),
        "log_weights": np.round(rng.standard_normal((6, 4)), 2) - (800.0 * np.arange(4) if long else 0.0),
        "k": 3,
    }
    rows = {*POINTS, "t", "s", "t_before", "q", "p", "precision", "nats"}
    if "t" not in required:
        rows -= {"t", "s", "t_before"}
    *_, owner, last = name.split(".")
    covariance = 0.3 * np.outer(x_0[0], x_0[0]) + case.var_q * np.eye(d)
    if name == "reverse.interpolated_var":
        values["v"], rows = fraction, rows - {"v"}
    if name == "gaussian.kl_equal_var":
        values["p"] = Gaussian(x_t, var_q)
    if last == "full_kl":
        values["q"] = FullGaussian(x_0[0], covariance)
        values["p"] = FullGaussian(x_t[0], case.var_p * np.eye(d) + 0.2)
        rows -= {"q", "p"}
    if last == "discretized_log_likelihood":
        values["x"] = np.clip(np.round(x_t * 30), -127, 128) / 127.5 - 1 / 255
        values["mean"], values["std"] = np.round(eps / 4, 2), 0.1
    if last.startswith("linear_") and owner == "likelihood":  # which takes (n, d) only
        rows -= {"x_0"}
    if owner == "Gaussian":
        values["self"], rows = Gaussian(x_0, var_q), rows | {"self"}
    elif owner == "FullGaussian":
        values["self"] = FullGaussian(x_0[0], covariance)
        values["known"], values["value"] = [0], x_t[0, :1]
    elif owner == "GaussianMixture":
        values["self"] = case.mixture
    elif owner == "Schedule":
        values["self"] = schedule
    t = t if "t" in required else None
    return values, rows, t


def _options(name, case, optional, long):
    """Yield the choices of the parameters that have defaults: what is left out takes its default."""
    if isinstance(case, dict):
        yield {key: value for key, value in case.items() if key in optional and key != "T"}
        return
    choices = {
        "variance": ["beta", "posterior"],
        "gamma": [5.0, 1.5],
        "eta": [0.0, 0.6, 1.0],
        "convention": ["beta_1", "beta_tilde_2", 0.3],
        "decoder_var": ["beta_1", "beta_tilde_2"],
        "cov": [0.0, 0.2],
        "last_may_be_one": [False],
    }
    if "variance" in optional and isinstance(case, Case):
        array = np.round(0.1 + 0.8 * np.abs(np.sin(1.0 + np.arange(case.T + 1))), 2)
        choices["variance"] = [*choices["variance"], array]
    given = [(key, choices[key][: 2 if long else None]) for key in optional if key in choices]
    for values in itertools.product(*(values for _, values in given)):
        yield dict(zip((key for key, _ in given), values))
    if "decoder" in optional and not long:
        yield {"decoder": "discretized", "bins": 16}


def _where_it_is_defined(function, table):
    """Return the table without the rows at which the formula is not defined; None if there are none such."""
    t, s = table.t, table.arguments.get("s")
    masks = [None]
    if t is not None:
        T = table.schedule.T
        masks += [t >= 2, t < T, (t >= 2) & (t < T)]
        masks += [] if s is None else [np.asarray(s) >= 1, (np.asarray(s) >= 1) & (t < T)]
    for mask in masks:
        if mask is not None and not mask.any():
            continue
        kept = table if mask is None else table.keep(mask)
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                function(**kept.arguments, **kept.options)
        except ValueError:
            continue
        return kept
    return None
