r"""Training: a loss, its gradients, and a loop that is a generator of records.

Whoever asks for the next record decides when to look, to save or to stop. Each time :func:`fit` hands
control back, the model holds the averaged parameters and the :class:`TrainingState` all that is needed to go on.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from refdiff.checks import check_rng, count, points, real, same_shape
from refdiff.kernels.streams import loading, one_blas_thread
from refdiff.network.mlp import MLP, as_labels
from refdiff.network.optimizer import EMA, AdamW, clip_by_global_norm, cosine_learning_rates, ema_decays
from refdiff.schedule import Schedule

__all__ = ["Record", "TrainingDiverged", "TrainingState", "drop_labels", "fit", "loss", "loss_and_gradients"]

LONGEST_WARMUP = 200  # steps; a twentieth of a shorter training
WORTH_COMPILING = 5e9  # steps x points x parameters: what NumPy does in a second


def loss(model, x_0, t, eps, schedule, y=None):
    r"""Return the mean squared error of eps_hat, per coordinate.

    .. math:: L = \frac1n \sum_{i=1}^n \frac1d \left\lVert \epsilon_i
        - \hat\epsilon\left(\sqrt{\bar\alpha_{t_i}}\, x_{0,i} + \sqrt{1 - \bar\alpha_{t_i}}\, \epsilon_i,\; t_i
        \left[, y_i\right]\right) \right\rVert^2

    With t uniform on 1..T and eps standard normal its expectation is L_simple of Ho et al. divided by d: they
    sum over the coordinates. Divided so, a model that answers 0 scores 1 in any dimension.

    Parameters
    ----------
    model : callable
        Any denoiser eps_hat = model(x_t, t), or model(x_t, t, y) if there are labels.
    x_0, eps : array_like, shape (..., d)
        Clean points and the noise to add.
    t : int or array_like of int
        The steps, in 1..T: one for all points, or one for each.
    schedule : Schedule
    y : int or array_like of int, optional
        Labels, which the model is given as they are.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        If an array is not made of real numbers or `t` not of integers.
    ValueError
        If the shapes differ, there are no points, or `t` is out of range.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), eq. 14; with labels Ho & Salimans (2022), Algorithm 1. Identities:
    :eq:`eq-network.loss`, :eq:`eq-network.loss_given`.

    Examples
    --------
    >>> from refdiff.schedule import Schedule
    >>> eps = np.array([[3.0, 4.0]])
    >>> loss(lambda x_t, t: 0 * x_t, np.zeros((1, 2)), 1, eps, Schedule.linear())
    12.5
    """
    x_t, eps = noised(x_0, t, eps, schedule)
    return float(np.mean((eps - (model(x_t, t) if y is None else model(x_t, t, y))) ** 2))


def loss_and_gradients(model, x_0, t, eps, schedule, y=None):
    r"""Return :func:`loss` and its gradient with respect to each parameter.

    .. math:: \frac{\partial L}{\partial \hat\epsilon} = \frac{2}{n d}\,(\hat\epsilon - \epsilon)

    Parameters
    ----------
    model : MLP
    x_0, t, eps, schedule, y
        As in :func:`loss`.

    Returns
    -------
    value : float
    gradients : dict of str to ndarray
        ``model.gradients``, overwritten at each call; ``model.gradient`` is the same as one vector.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), Algorithm 1. Identity: :eq:`eq-network.gradient`.
    """
    x_t, eps = noised(x_0, t, eps, schedule)
    eps_hat, tape = model.forward(x_t, t) if y is None else model.forward(x_t, t, y)
    error = eps_hat - eps
    model.backward(tape, 2 / error.size * error)
    return float(np.mean(error**2)), model.gradients


def noised(x_0, t, eps, schedule):
    """Return x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps, and eps, both checked."""
    x_0, eps = points(x_0, "x_0"), points(eps, "eps")
    same_shape(x_0=x_0, eps=eps)
    if x_0.size == 0:
        raise ValueError(f"the loss is a mean over points; got none, x_0 of shape {x_0.shape}.")
    index = schedule.index(t, x_0)
    return schedule.signal_rate[index] * x_0 + schedule.noise_rate[index] * eps, eps


def drop_labels(y, probability, rng):
    r"""Return labels of which each was dropped, or not, by itself: classifier-free training.

    .. math:: y_i \leftarrow \begin{cases} -1 & u_i < p \\ y_i & u_i \ge p \end{cases}, \qquad
        u_i \sim U[0, 1) \text{ independent}

    A network that is trained so learns eps_hat(x_t, t, y) and, from what is dropped, eps_hat(x_t, t).

    Parameters
    ----------
    y : array_like of int, any shape
        Labels; -1 is no label, and stays.
    probability : float
        p, in [0, 1].
    rng : numpy.random.Generator
        Draws one number for each label, whatever p.

    Returns
    -------
    ndarray of int, the shape of y

    Raises
    ------
    TypeError
        If the labels are not integers, or `rng` is not a Generator.
    ValueError
        If a label is below -1, or `probability` is not in [0, 1].

    Notes
    -----
    Source: Ho & Salimans (2022), Algorithm 1. Identity: :eq:`eq-network.drop_labels`.

    Examples
    --------
    >>> drop_labels([0, 1, 2, 3, 4, 5], 0.5, np.random.default_rng(0))
    array([ 0, -1, -1, -1,  4,  5])
    """
    y = np.asarray(y)
    if y.dtype.kind not in "iu":
        raise TypeError(f"y must be labels, integers; got dtype {y.dtype}. No label is -1.")
    if y.size and y.min() < -1:
        raise ValueError(f"y must be labels, 0, 1, ... or -1 for none; got {y.min()}.")
    probability = _number(probability, "probability", lambda value: 0 <= value <= 1, "in [0, 1]")
    return np.where(check_rng(rng).random(y.shape) < probability, -1, y.astype(np.int64))


@dataclass(frozen=True)
class Record:
    """What :func:`fit` reports.

    Attributes
    ----------
    step : int
        The steps made since training began.
    loss : float
        The mean of :func:`loss` over the steps since the last record.
    learning_rate : float
        That of this step.
    gradient_norm : float
        The mean norm of the gradient before clipping, over the same steps as `loss`.
    """

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float


class TrainingDiverged(RuntimeError):
    """The loss or its gradient became infinite or NaN.

    Parameters
    ----------
    step : int
        The step, counted from 1, whose update was refused.
    """

    def __init__(self, step):
        super().__init__(step)
        self.step = step

    def __str__(self):
        return (
            f"the loss or its gradient is not finite at step {self.step}; the model keeps the average of the last"
            " record. Usual cause: too high a learning_rate, or data far from unit variance."
        )


@dataclass
class TrainingState:
    """All that training needs to go on, apart from the data and the arguments of :func:`fit`.

    Make one with :meth:`start` and pass it to :func:`fit`, which brings it up to date with each record.

    Attributes
    ----------
    step : int
        The steps made.
    theta, average : ndarray, shape (P,)
        The parameters that are trained, and their average, which the model holds.
    first_moment, second_moment : ndarray, shape (P,)
        Those of :class:`AdamW`.
    rng_state : dict or None
        ``rng.bit_generator.state`` after the last step; None before the first.
    """

    step: int
    theta: np.ndarray = field(repr=False)
    average: np.ndarray = field(repr=False)
    first_moment: np.ndarray = field(repr=False)
    second_moment: np.ndarray = field(repr=False)
    rng_state: dict | None = field(repr=False)

    @classmethod
    def start(cls, model):
        """Return the state before the first step, at the parameters of `model`."""
        theta = model.theta
        return cls(0, theta.copy(), theta.copy(), np.zeros_like(theta), np.zeros_like(theta), None)


def fit(
    model,
    data,
    schedule,
    rng,
    steps,
    *,
    labels=None,
    drop_label=0.1,
    batch_size=256,
    learning_rate=5e-3,
    weight_decay=0.0,
    ema_decay=0.999,
    clip_norm=1.0,
    record_every=100,
    state=None,
    compiled=None,
):
    r"""Train `model` on `data`; a generator that yields a :class:`Record` every `record_every` steps and at the end.

    .. math:: \theta_{k+1} = \theta_k - \eta_k\,\mathrm{AdamW}\left(\nabla_\theta
        \frac{1}{nd}\sum_i \Vert\epsilon_i - \hat\epsilon(x_{t_i}, t_i)\Vert^2\right), \qquad
        x_{t_i} = \sqrt{\bar\alpha_{t_i}}\,x_{0,i} + \sqrt{1 - \bar\alpha_{t_i}}\,\epsilon_i

    Each step draws a batch from the data with replacement, t ~ U{1..T} and eps ~ N(0, I), and which of its labels to
    drop, if there are any; and follows the gradient of :func:`loss` by AdamW. Whenever a record is yielded, and when
    the generator is exhausted, closed or interrupted, the model holds the moving average of its parameters as of the
    last record.

    Parameters
    ----------
    model : MLP
        Changed in place.
    data : array_like, shape (n, d)
        Points x_0; bring them to zero mean and unit variance first, since x_T is N(0, I).
    schedule : Schedule
    rng : numpy.random.Generator
        Draws batches, t and eps, and which labels to drop. Same seed, same result: BLAS is held to one thread while a
        step is made, because with more it adds in another order (and, at this size, wins little).
    steps : int
        In all, those that `state` has already made included; the learning rate falls towards the last.
    labels : array_like of int, shape (n,), optional
        The label of each point, in 0..classes - 1 or -1 for none. A network with classes that is given none is trained
        without labels.
    drop_label : float
        The probability of :func:`drop_labels`, for each label of each batch by itself. The answer without a label
        learns from what is dropped alone: the less that is, the worse it is beside those with one.
    batch_size : int
    learning_rate : float
        The highest rate of :func:`cosine_learning_rate`, reached after steps // 20 steps, at most 200.
    weight_decay, ema_decay : float
        As in :class:`AdamW` and :class:`EMA`.
    clip_norm : float
        The gradient is scaled down to this norm; ``math.inf`` leaves it.
    record_every : int
    state : TrainingState, optional
        Where to go on. With the same data and arguments the rest is, bit for bit, what it would have been
        without the break; `rng` is set to where it was. Updated with each record.
    compiled : bool, optional
        Whether the steps are taken by the compiled loop or, one by one, by the NumPy code that specifies it. They
        differ by rounding. Unless said otherwise, a training that would take NumPy a second or more is compiled. Where
        Numba is switched off (NUMBA_DISABLE_JIT=1) none is.

    Yields
    ------
    Record

    Raises
    ------
    TypeError, ValueError
        For any unusable argument, at the call and not at the first record.
    TrainingDiverged
        When the loss or its gradient is not finite; model and state stay as of the last record.

    Notes
    -----
    Source: Ho, Jain & Abbeel (2020), Algorithm 1; with labels Ho & Salimans (2022), Algorithm 1. Identities:
    :eq:`eq-network.fit`, :eq:`eq-network.fit_labels`.

    Examples
    --------
    >>> from refdiff.schedule import Schedule
    >>> rng = np.random.default_rng(0)
    >>> model = MLP(1, rng=rng, width=16, depth=1)
    >>> data = rng.choice([-1.0, 1.0], size=(100, 1))
    >>> for record in fit(model, data, Schedule.vp(10), rng, 200):
    ...     print(record.step, record.loss < 1)
    100 True
    200 True

    With labels, the network learns the law of each class, and that of all:

    >>> model = MLP(1, rng=rng, width=16, depth=1, classes=2)
    >>> for record in fit(model, data, Schedule.vp(10), rng, 200, labels=(data[:, 0] > 0).astype(int)):
    ...     print(record.step, record.loss < 1)
    100 True
    200 True
    """
    if not isinstance(model, MLP):
        raise TypeError(f"fit trains an MLP, whose gradients it knows; got {type(model).__name__}.")
    if model.theta.dtype.kind == "c":
        raise TypeError("fit trains real parameters; got a complex network. Build it with dtype float32 or float64.")
    if not isinstance(schedule, Schedule):
        raise TypeError(f"schedule must be a Schedule; got {type(schedule).__name__}. Try refdiff.Schedule.vp(200).")
    data = real(data, "data")
    if data.ndim != 2 or data.shape[1] != model.dim:
        raise ValueError(f"data must have shape (n, {model.dim}), the model's dim; got {data.shape}.")
    if len(data) == 0:
        raise ValueError("data must have at least one point; got none.")
    if not np.isfinite(data).all():
        raise ValueError(f"data must be finite; row {int(np.argmin(np.isfinite(data).all(axis=1)))} is not.")
    if labels is None:
        y = np.zeros(0, np.int64)
    else:
        y = as_labels(labels, model.config["classes"], "labels")
        if y.shape != (len(data),):
            raise ValueError(f"labels must have one entry for each of the {len(data)} points; got shape {y.shape}.")
    drop_label = _number(drop_label, "drop_label", lambda value: 0 <= value <= 1, "in [0, 1]")
    check_rng(rng)
    steps, batch_size = count(steps, "steps"), count(batch_size, "batch_size")
    record_every = count(record_every, "record_every")
    learning_rate = _number(learning_rate, "learning_rate", lambda value: 0 < value < math.inf, "> 0 and finite")
    weight_decay = _number(weight_decay, "weight_decay", lambda value: 0 <= value < math.inf, ">= 0 and finite")
    ema_decay = _number(ema_decay, "ema_decay", lambda value: 0 <= value < 1, "in [0, 1)")
    clip_norm = _number(clip_norm, "clip_norm", lambda value: value > 0, "> 0; math.inf turns clipping off")
    if state is None:
        state = TrainingState.start(model)
    _check_state(state, model, rng, steps)

    if compiled is None:
        compiled = steps * batch_size * model.theta.size >= WORTH_COMPILING
    take = _compiled_steps if compiled and _can_compile() else _numpy_steps

    def records():
        learner = MLP.from_theta(state.theta.copy(), **model.config)
        adam = AdamW(learner.theta, weight_decay=weight_decay)
        adam.first_moment[...], adam.second_moment[...] = state.first_moment, state.second_moment
        ema = EMA(state.average, ema_decay)
        done = adam.step = ema.step = state.step
        warmup = min(LONGEST_WARMUP, steps // 20)
        if state.rng_state is not None:
            rng.bit_generator.state = state.rng_state
        model.theta[...] = state.average
        take_steps = take(learner, adam, ema, (data, y, drop_label), schedule, rng, batch_size, clip_norm)

        while done < steps:
            until = min(steps, (done // record_every + 1) * record_every)
            rates = cosine_learning_rates(np.arange(done + 1, until + 1), steps, learning_rate, warmup)
            losses, norms = take_steps(rates)
            if not np.isfinite(ema.average).all():
                raise TrainingDiverged(until)
            done = until
            # Copies, taken in one assignment: an interrupt finds the state of this record or of the last, no mixture.
            vars(state).update(
                step=done,
                theta=learner.theta.copy(),
                average=ema.average.copy(),
                first_moment=adam.first_moment.copy(),
                second_moment=adam.second_moment.copy(),
                rng_state=rng.bit_generator.state,
            )
            model.theta[...] = state.average
            yield Record(done, math.fsum(losses) / len(losses), float(rates[-1]), math.fsum(norms) / len(norms))

    return records()


def _numpy_steps(learner, adam, ema, data, schedule, rng, batch_size, clip_norm):
    """Return what takes a step for each of some learning rates: the specification of training, line by line."""
    points, labels, drop_label = data
    keep_freed_memory()

    def take_steps(rates):
        losses, norms = [], []
        # Not finite is answered by TrainingDiverged, so it need not warn too. Both limits end with the steps: they hold
        # for the whole process, and what the caller does between two records is theirs.
        with one_blas_thread(), np.errstate(all="ignore"):
            for rate in rates:
                rows = rng.integers(len(points), size=batch_size)
                x_0 = points[rows]
                t = rng.integers(1, schedule.T, size=batch_size, endpoint=True)
                eps = rng.standard_normal(x_0.shape)
                y = drop_labels(labels[rows], drop_label, rng) if labels.size else None
                value, _ = loss_and_gradients(learner, x_0, t, eps, schedule, y)
                norm = clip_by_global_norm(learner.gradient, clip_norm)
                if not (math.isfinite(value) and math.isfinite(norm)):
                    raise TrainingDiverged(adam.step + 1)
                adam.update(learner.theta, learner.gradient, float(rate))
                ema.update(learner.theta)
                losses.append(value)
                norms.append(norm)
        return losses, norms

    return take_steps


def _compiled_steps(learner, adam, ema, data, schedule, rng, batch_size, clip_norm):
    """Return what takes the same steps in a compiled loop.

    All vectors are parts of one array, their beginnings at different distances from a page's: vectors that NumPy
    allocates by themselves begin alike, and a processor then takes a load from one for a load from the other.
    """
    with loading():
        from refdiff.kernels import network
        from refdiff.network.engine import net_of

    number, size = 5, learner.theta.size
    room = np.zeros((number, -(-size // 1024) * 1024 + 208), learner.theta.dtype)
    theta, gradient, first, second, average = room[:, :size]
    held = (theta, learner.theta), (first, adam.first_moment), (second, adam.second_moment), (average, ema.average)
    for inside, outside in held:
        inside[...] = outside
    learner.theta, adam.first_moment, adam.second_moment, ema.average = theta, first, second, average

    net = net_of(learner, schedule.T)
    points, labels, drop_label = data
    points, signal, noise = (
        np.array(array, np.float64, order="C") for array in (points, schedule.signal_rate, schedule.noise_rate)
    )
    data = points, np.ascontiguousarray(labels), drop_label
    settings = float(batch_size), adam.beta_1, adam.beta_2, adam.epsilon, adam.weight_decay
    # Ctrl-C waits for a call to return: about a tenth of a second.
    at_once = max(1, int(1e10 / (6 * batch_size * size)))

    def call(rates, records):
        decays = ema_decays(adam.step + np.arange(1, len(rates) + 1), ema.decay)
        return network.train(
            *(net, gradient, first, second, average, data, signal, noise, rng, adam.step),
            *(rates, clip_norm, decays, settings, records),
        )

    with loading():
        call(np.empty(0), np.empty((0, 2)))  # no step, but the loop is compiled, or fetched from disk

    def take_steps(rates):
        records = np.empty((len(rates), 2))
        with one_blas_thread():
            for low in range(0, len(rates), at_once):
                some = rates[low : low + at_once]
                went_well = call(some, records[low : low + at_once])
                adam.step = ema.step = adam.step + went_well
                if went_well < len(some):
                    raise TrainingDiverged(adam.step + 1)
        return records.T

    return take_steps


def _can_compile():
    with loading():
        from refdiff.kernels import build

    return build.ENABLED


def keep_freed_memory():
    """Let malloc keep the layers' arrays for the next step instead of giving them back to the system.

    By default glibc asks the system for each array above 128 KB anew, and the page faults cost as much as the
    arithmetic. Freeing one large block, never touched, raises that limit to its size for the rest of the process.
    """
    np.empty(1 << 24, np.uint8)


def _number(value, name, allowed, rule):
    """Return `value` as a float if it is one real number that `allowed` accepts; the `rule` says which."""
    number = real(value, name)
    if number.ndim != 0 or not allowed(number):
        raise ValueError(f"{name} must be one number {rule}; got {value!r}.")
    return float(number)


def _check_state(state, model, rng, steps):
    """Raise unless training of `model` by `rng` can go on from `state`."""
    if not isinstance(state, TrainingState):
        raise TypeError(f"state must be a TrainingState; got {type(state).__name__}. Make one with .start(model).")
    for name in ("theta", "average", "first_moment", "second_moment"):
        array = getattr(state, name)
        if array.shape != model.theta.shape or array.dtype != model.theta.dtype:
            raise ValueError(
                f"state.{name} must be {model.theta.dtype} of shape {model.theta.shape}, like the model's parameters;"
                f" got {array.dtype} of shape {array.shape}. Is it the state of another network?"
            )
    if state.step > steps:
        raise ValueError(f"steps counts from the first: the state has made {state.step}, so it cannot be {steps}.")
    if state.rng_state is not None and state.rng_state["bit_generator"] != rng.bit_generator.state["bit_generator"]:
        raise ValueError(
            f"the state was drawn with {state.rng_state['bit_generator']}, and goes on only with that; got"
            f" {rng.bit_generator.state['bit_generator']}."
        )
