r"""Identities of the learner: the network, its hand-written derivatives, and what moves its parameters.

The truth is a second network that is written here from the equations, over complex numbers: it differentiates itself
by complex steps, f'(x) = Im f(x + ih) / h, which lose no digits and know nothing of back-propagation.
"""

import inspect
import itertools
import math

import numpy as np
from scipy.special import ndtr

from refdiff.forward import walk
from refdiff.verify.evidence import stream
from refdiff.verify.identity import NotProvided, identity
from refdiff.verify.oracles import integrate

WAVES = (16.0, 0.5)  # the lengths of the waves for point_dim = 4, in units of x
STEP = 1e-30  # of complex differentiation: its square is lost beside 1
CHUNK = 4_000  # directions that are differentiated together: memory stays small for any number of samples


def small(claimed, case, dim):
    """Return a float64 network with few parameters, all of them drawn from the case."""
    rng = stream("small network", case)
    residual, activation, point_dim, classes = kind(case)
    model = claimed.network.MLP(
        *(dim,),
        **{"rng": rng, "width": 3, "depth": 1 + case.T % 3, "time_dim": 4, "dtype": np.float64},
        **{"residual": residual, "activation": activation, "point_dim": point_dim, "classes": classes},
    )
    for parameter in model.parameters.values():
        parameter[...] = rng.uniform(-2, 2, parameter.shape)
    return model


def kind(case):
    """Return residual or not, the activation, the size of a coordinate's embedding, and the number of classes."""
    return case.T % 2 == 0, "gelu" if case.T % 2 == 0 else "silu", 4 * (case.t % 2), 3 * (case.s % 2)


def labels_of(case):
    """Return what a call is given beside three points and their steps: labels, one twice and one left out, if any."""
    return (np.array([1, -1, 1]),) if kind(case)[3] else ()


def reference(parameters, x, t, kind, y=-1):
    """Return eps_hat by the equations of the network; parameters may have axes in front and may be complex."""
    residual, activation, point_dim, classes = kind
    omega = 2 * math.pi / np.array([4.0, 4000.0])  # for time_dim = 4: one clock of 4 steps, one of 4000
    angle = np.multiply.outer(t, omega)
    if point_dim:
        waves = [f(2 * math.pi / length * x) for f in (np.sin, np.cos) for length in WAVES]
        x = np.stack(waves, axis=-1).reshape(*x.shape[:-1], -1)  # all waves of a coordinate side by side
    h = np.concatenate([x, np.sin(angle), np.cos(angle)], axis=-1)
    layers, points = len(parameters) // 2, h.shape[-1] - 4
    _, own, _ = np.split(parameters["weight_1"], [points, points + classes], axis=-2)  # a row for each label
    parameters = parameters | {"weight_1": np.delete(parameters["weight_1"], np.s_[points : points + classes], -2)}
    for k in range(1, layers + 1):
        a = h @ parameters[f"weight_{k}"] + parameters[f"bias_{k}"][..., None, :]
        if k == 1 and classes:
            y = np.broadcast_to(y, len(x))
            a = a + np.where(y[:, None] < 0, 0.0, own[..., y, :])
        if k == layers:
            return a
        h = a * (ndtr(a) if activation == "gelu" else (1 + np.tanh(a / 2)) / 2) + (h if residual and k > 1 else 0)


def a_batch(case):
    """Return x_0, t, eps of three points in general position, each at another step where there are so many."""
    t = np.array([1, case.t, case.T])
    return np.outer([1.0, -0.5, 0.3], case.x_0), t, np.outer([0.4, 0.7, -1.0], case.eps)


def diffused(case, x_0, t, eps):
    """Return x_t, with alpha_bar as a plain product."""
    alpha_bar = np.array([case.alpha_bar(one) for one in np.ravel(t)]).reshape(np.shape(t))[..., None]
    return np.sqrt(alpha_bar) * x_0 + np.sqrt(1 - alpha_bar) * eps


def slopes(model, case, directions):
    """Return the derivatives of the loss of `a_batch` along directions, (n, P), at the parameters as they stand."""
    x_0, t, eps = a_batch(case)
    x_t, theta = diffused(case, x_0, t, eps), flat(model.parameters)
    out = []
    for some in np.split(directions, range(CHUNK, len(directions), CHUNK)):
        shifted, parameters, start = theta + 1j * STEP * some, {}, 0
        for name, parameter in model.parameters.items():
            end = start + parameter.size
            parameters[name], start = shifted[:, start:end].reshape(-1, *parameter.shape), end
        error = reference(parameters, x_t, t, kind(case), *labels_of(case)) - eps
        out.append(np.mean(error**2, axis=(-2, -1)).imag / STEP)
    return np.concatenate(out)


def flat(named):
    """Return arrays by name as one vector."""
    return np.concatenate([array.ravel() for array in named.values()])


def gradient_twice(claimed, model, case):
    """Return value and gradient of the second of two calls, as one vector: a call leaves nothing behind."""
    x_0, t, eps = a_batch(case)
    claimed.network.loss_and_gradients(model, x_0, t, eps, case.schedule, *labels_of(case))
    value, gradients = claimed.network.loss_and_gradients(model, x_0, t, eps, case.schedule, *labels_of(case))
    return value, np.concatenate([gradients[name].ravel() for name in model.parameters])


@identity(
    "network.forward",
    judges=("network.MLP.forward", "network.MLP.__call__", "network.MLP.from_theta", "network.MLP.given"),
    states=r"h_0 = [x_t \text{ or } \sin\nu x_t, \cos\nu x_t; \qquad"
    r" 1_{y=0}, \ldots, 1_{y=C-1};\; \sin\omega t, \cos\omega t], \qquad"
    r" h_1 = \operatorname{act}(h_0 W_1 + b_1), \qquad"
    r" h_k = [h_{k-1} +]\, \operatorname{act}(h_{k-1} W_k + b_k), \qquad"
    r" \hat\epsilon = h\, W + b, \qquad \operatorname{act}(a) = a\,\sigma(a) \text{ or } a\,\Phi(a)",
    source="Vaswani et al. (2017), section 3.5, for the embedding; the rest is the definition",
    statistics=2,
    coincides="Sines first or cosines first is a matter of choice: a network works with what it was trained with."
    " Where every point has a label, it does not matter what stands for none.",
)
class Forward:
    """The same network, written a second time from its equations; a label picks a row of W_1, and adds it.

    By chance: normal points, random steps and labels go in, and cosine and sine of what comes out are bounded, with
    means that quadrature over the second network gives.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        model = small(claimed, case, case.d)
        x_0, t, eps = a_batch(case)
        x, y = diffused(case, x_0, t, eps), labels_of(case)
        truth = reference(model.parameters, x, t, kind(case), *y)
        evidence.close("forward(x, t)", model.forward(x, t, *y)[0], truth)
        evidence.close("model(x, t)", model(x, t, *y), truth)
        evidence.close("model(x, one t)", model(x[:1], int(t[0]), *(int(one[0]) for one in y)), truth[:1])
        twin = claimed.network.MLP.from_theta(model.theta.copy(), **model.config)
        evidence.close("a network from theta", twin(x, t, *y), truth)
        without = reference(model.parameters, x, t, kind(case))
        evidence.close("model(x, t) without labels", model(x, t), without)
        evidence.close("the network given no label", model.given(None)(x, t), without)
        if y:
            evidence.close("the network given labels", model.given(*y)(x, t), truth)
            truth = reference(model.parameters, x, t, kind(case), 2)
            evidence.close("the network given one label", model.given(2)(x, t), truth)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        model = small(claimed, case, 1)
        x, t = trial.rng.standard_normal((trial.n, 1)), trial.rng.integers(1, case.T + 1, trial.n)
        kinds = range(-1, kind(case)[3])
        y = (trial.rng.choice(kinds, trial.n),) if kind(case)[3] else ()
        found = model(x, t, *y)[:, 0]

        def mean(f):
            def integrand(x, t, y):
                eps_hat = reference(model.parameters, x[:, None], np.full(len(x), t), kind(case), y)[:, 0]
                return f(eps_hat) * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)

            beside = itertools.product(range(1, case.T + 1), kinds)
            return np.mean([integrate(lambda x, b=b: integrand(x, *b), -9.0, 9.0, 601) for b in beside])

        for name, wave in (("cos", np.cos), ("sin", np.sin)):
            claim = mean(wave)
            square = mean(lambda y, wave=wave: wave(y) ** 2)
            trial.bounded(f"E {name}(eps_hat)", wave(found), claim, square - claim**2)


@identity(
    "network.initialization",
    judges="network.MLP.__init__",
    states=r"W \sim \mathcal{N}(0, 1/\text{fan in}), \qquad b = 0",
    source="LeCun et al. (1998), section 4.6",
    statistics=2,
)
class Initialization:
    """A pre-activation is a sum over fan_in inputs: its variance is that of an input if fan_in Var(W) = 1."""

    @staticmethod
    def scaled(model):
        """Return all weights times the root of their fan-in: standard normal."""
        weights = [p for name, p in model.parameters.items() if name.startswith("weight")]
        return np.concatenate([(w * math.sqrt(len(w))).ravel() for w in weights])

    @staticmethod
    def exact(claimed, case, evidence):
        model, same = (
            claimed.network.MLP(case.d, rng=np.random.default_rng(case.T), width=30, depth=2, time_dim=4)
            for _ in range(2)
        )
        biases = flat({name: p for name, p in model.parameters.items() if name.startswith("bias")})
        evidence.close("biases", biases, np.zeros_like(biases))
        evidence.true("same seed, same weights", np.array_equal(model.theta, same.theta))
        evidence.true(
            "theta is the same memory", all(np.shares_memory(model.theta, p) for p in model.parameters.values())
        )
        # A uniform law on +-1/sqrt(fan_in), the usual default elsewhere, has an edge. None of 1000 normals passes it
        # with probability .683^1000 < 1e-165.
        evidence.true("some weight is beyond 1/sqrt(fan_in)", np.abs(Initialization.scaled(model)).max() > 1)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        width = math.ceil(trial.n / (2 * case.d + 4))
        model = claimed.network.MLP(case.d, rng=trial.rng, width=width, depth=1, time_dim=4, dtype=np.float64)
        weights = Initialization.scaled(model)
        trial.mean("mean of sqrt(fan_in) W", weights, 0.0, 1.0)
        trial.var("variance of sqrt(fan_in) W", weights, 0.0, 1.0)


@identity(
    "network.loss",
    judges="network.loss",
    states=r"L = \frac1{nd} \sum_{i=1}^n \left\lVert \epsilon_i - \hat\epsilon\left(\sqrt{\bar\alpha_{t_i}}\, x_{0,i}"
    r" + \sqrt{1 - \bar\alpha_{t_i}}\, \epsilon_i,\; t_i\right) \right\rVert^2",
    source="Ho, Jain & Abbeel (2020), eq. 14",
    statistics=1,
    coincides="For a model that does not look at t, it does not matter which t it is given.",
)
class Loss:
    """A sum written out in loops; and, since the squared error of an affine model is quadratic in the noise, its mean
    over noise is what the loss gives for the two noises +1 and -1. Walks, and what they added up to, must agree.
    """

    @staticmethod
    def model(case):
        """Return an affine denoiser whose slope grows with t."""

        def denoiser(x_t, t):
            return case.slope * (np.asarray(t) / case.T)[..., None] * x_t + case.intercept

        return denoiser

    @staticmethod
    def exact(claimed, case, evidence):
        x_0, t, eps = a_batch(case)
        total = 0.0
        for i in range(len(t)):
            for j in range(case.d):
                alpha_bar = case.alpha_bar(int(t[i]))
                x_t = math.sqrt(alpha_bar) * x_0[i, j] + math.sqrt(1 - alpha_bar) * eps[i, j]
                total += (eps[i, j] - case.slope * t[i] / case.T * x_t - case.intercept) ** 2
        loss = claimed.network.loss(Loss.model(case), x_0, t, eps, case.schedule)
        evidence.close("loss", loss, total / (len(t) * case.d))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        alpha_bar, slope, d = case.alpha_bar(case.t), case.slope * case.t / case.T, case.d
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        eps = (x[case.t] - math.sqrt(alpha_bar) * x[0]) / math.sqrt(1 - alpha_bar)
        squares = np.mean((eps - slope * x[case.t] - case.intercept) ** 2, axis=-1)
        noise, steps = np.array([[1.0], [-1.0]]) * np.ones(d), np.full(2, case.t)
        claim = claimed.network.loss(Loss.model(case), case.repeat(case.x_0, 2), steps, noise, case.schedule)
        offset = -slope * math.sqrt(alpha_bar) * np.array(case.x_0) - case.intercept
        factor = 1 - slope * math.sqrt(1 - alpha_bar)
        trial.quadratic("E loss", squares, claim, 2 * offset * factor / d, np.full(d, factor**2 / d))


@identity(
    "network.loss_given",
    judges="network.loss",
    states=r"L = \frac1{nd} \sum_{i=1}^n \left\lVert \epsilon_i - \hat\epsilon\left(\sqrt{\bar\alpha_{t_i}}\, x_{0,i}"
    r" + \sqrt{1 - \bar\alpha_{t_i}}\, \epsilon_i,\; t_i,\; y_i\right) \right\rVert^2",
    source="Ho & Salimans (2022), Algorithm 1",
    statistics=1,
    coincides="For a model that does not look at y, it does not matter which label it is given.",
)
class LossGiven:
    """The answers that the model gives with each label are set beside the noise; by chance as for ``network.loss``."""

    @staticmethod
    def loss(claimed):
        """Return the function judged, if it takes labels at all."""
        if "y" not in inspect.signature(claimed.network.loss).parameters:
            raise NotProvided("network.loss with labels")
        return claimed.network.loss

    @staticmethod
    def model(case):
        """Return an affine denoiser whose intercept depends on the label, and is far off without one."""
        return lambda x_t, t, y=9: case.slope * x_t + case.intercept * (1 + np.asarray(y))[..., None]

    @staticmethod
    def exact(claimed, case, evidence):
        x_0, t, eps = a_batch(case)
        y, x_t = np.array([1, 0, 2]), diffused(case, x_0, t, eps)
        answers = [case.slope * x_t[i] + case.intercept * (1 + y[i]) for i in range(3)]
        loss = LossGiven.loss(claimed)(LossGiven.model(case), x_0, t, eps, case.schedule, y)
        evidence.close("loss", loss, np.mean((eps - np.array(answers)) ** 2))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        alpha_bar, slope, d = case.alpha_bar(case.t), case.slope, case.d
        x = walk(case.schedule, case.repeat(case.x_0, trial.n), trial.rng)
        eps = (x[case.t] - math.sqrt(alpha_bar) * x[0]) / math.sqrt(1 - alpha_bar)
        squares = np.mean((eps - slope * x[case.t] - 2 * case.intercept) ** 2, axis=-1)  # of the label 1
        noise, steps, y = np.array([[1.0], [-1.0]]) * np.ones(d), np.full(2, case.t), np.ones(2, int)
        x_0 = case.repeat(case.x_0, 2)
        claim = LossGiven.loss(claimed)(LossGiven.model(case), x_0, steps, noise, case.schedule, y)
        offset = -slope * math.sqrt(alpha_bar) * np.array(case.x_0) - 2 * case.intercept
        factor = 1 - slope * math.sqrt(1 - alpha_bar)
        trial.quadratic("E loss", squares, claim, 2 * offset * factor / d, np.full(d, factor**2 / d))


@identity(
    "network.gradient",
    judges=("network.loss_and_gradients", "network.MLP.backward", "network.MLP.layers"),
    states=r"\text{gradients} = \nabla_\theta L, \qquad L(\theta + h u) = L(\theta) + h\, u \cdot \nabla_\theta L"
    r" + O(h^2)",
    source="Rumelhart, Hinton & Williams (1986)",
    statistics=2,
    coincides="The first of two calls does not show whether gradients pile up; nor do labels that all differ show"
    " whether the parts of a label's row are added up.",
)
class Gradient:
    """Complex steps differentiate a second network, one parameter at a time.

    By chance: the derivative along u ~ N(0, I) is N(0, |gradient|^2), and its product with u . g has mean gradient . g.
    If both are |g|^2, then g is the gradient: two numbers determine a vector. (The last layer is scaled down in both,
    and the labels' rows up.)
    """

    @staticmethod
    def exact(claimed, case, evidence):
        model = small(claimed, case, case.d)
        before = flat(model.parameters)
        value, found = gradient_twice(claimed, model, case)
        evidence.close("parameters after", flat(model.parameters), before)
        evidence.close("gradient", found, slopes(model, case, np.eye(before.size)))
        x_0, t, eps = a_batch(case)
        x_t = diffused(case, x_0, t, eps)
        y = labels_of(case)
        evidence.close("loss", value, np.mean((eps - reference(model.parameters, x_t, t, kind(case), *y)) ** 2))
        _, tape = model.forward(x_t, t, *y)
        through = model.backward(tape, eps)  # any weights of the outputs will do
        truth = np.empty_like(x_t)
        for j in range(case.d):
            step = 1j * STEP * np.eye(case.d)[j]
            answer = reference(model.parameters, x_t + step, t, kind(case), *y)
            truth[:, j] = np.sum(eps * answer.imag / STEP, axis=-1)
        evidence.close("gradient with respect to x", through, truth)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        model = small(claimed, case, case.d)
        _, found = gradient_twice(claimed, model, case)
        scale = np.ones(found.size)  # the last layer needs no chain rule, and would drown what does
        scale[-(model.parameters[f"weight_{len(model.layers())}"].size + case.d) :] = 0.1
        rows, width = model.parameters["weight_1"].shape
        scale[(rows - 4 - kind(case)[3]) * width : (rows - 4) * width] = 4.0  # few of all, where labels leave a mark
        u = scale * trial.rng.standard_normal((trial.n, found.size))
        along, square = slopes(model, case, u), float((scale * found) @ (scale * found))
        truth = scale * slopes(model, case, np.eye(found.size))
        trial.var("|gradient|^2", along, 0.0, square)
        trial.quadratic("gradient . g", along * (u @ found), square, [0.0], [truth @ truth])


@identity(
    "network.adam",
    judges="network.AdamW.update",
    states=r"m_k = \beta_1 m_{k-1} + (1 - \beta_1)\, g_k, \qquad v_k = \beta_2 v_{k-1} + (1 - \beta_2)\, g_k^2, \qquad"
    r" \theta_k = \theta_{k-1} - \eta \left(\frac{m_k / (1 - \beta_1^k)}{\sqrt{v_k / (1 - \beta_2^k)} + \varepsilon}"
    r" + \lambda\, \theta_{k-1}\right)",
    source="Kingma & Ba (2015), Algorithm 1; Loshchilov & Hutter (2019), Algorithm 2",
    statistics=4,
    coincides="After some thousand steps the corrections are 1, and a version without them is right. Without decay,"
    " decay in the gradient is right too.",
    in_place=True,
)
class Adam:
    """A gradient that stays the same moves each parameter by the rate times its sign, at every step: that is what the
    two corrections are for. And moments of normal gradients are normal and chi-square.
    """

    RATE, DECAY = 0.1, 0.5

    @staticmethod
    def exact(claimed, case, evidence):
        theta, gradients = np.array(case.x_0), np.outer(np.cos(np.arange(1, 6)), case.eps)
        truth = []
        for j in range(case.d):  # one parameter at a time, in plain numbers
            value, m, v = case.x_0[j], 0.0, 0.0
            for k, g in enumerate(gradients[:, j], start=1):
                m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
                move = (m / (1 - 0.9**k)) / (math.sqrt(v / (1 - 0.999**k)) + 1e-8)
                value -= Adam.RATE * (move + Adam.DECAY * value)
            truth.append(value)
        adam = claimed.network.AdamW(theta, weight_decay=Adam.DECAY)
        for gradient in gradients:
            adam.update(theta, gradient, Adam.RATE)
        evidence.close("theta after 5 steps", theta, truth, 1e-11)  # 1 - .999^k has lost three digits

    @staticmethod
    def monte_carlo(claimed, case, trial):
        mean, std, steps = case.intercept, math.sqrt(case.var_q), case.t
        gradient = mean + std * trial.rng.standard_normal(trial.n)
        theta = np.ones(trial.n)
        adam = claimed.network.AdamW(theta, weight_decay=Adam.DECAY, epsilon=0.0)
        for _ in range(steps):
            before = theta.copy()
            adam.update(theta, gradient, Adam.RATE)
        signs = (before * (1 - Adam.RATE * Adam.DECAY) - theta) / Adam.RATE
        up = 2 * ndtr(mean / std) - 1
        trial.bounded("E sign of the last step", signs, up, 1 - up**2)

        adam = claimed.network.AdamW(theta)
        weights_m, weights_v = np.zeros(steps), np.zeros(steps)
        for k in range(steps):
            adam.update(theta, mean + std * trial.rng.standard_normal(trial.n), Adam.RATE)
            weights_m, weights_v = 0.9 * weights_m, 0.999 * weights_v
            weights_m[k], weights_v[k] = 0.1, 0.001
        m, v = mean * weights_m.sum(), (mean**2 + std**2) * weights_v.sum()
        trial.mean("m", adam.first_moment, m, std**2 * weights_m @ weights_m)
        trial.var("Var m", adam.first_moment, m, std**2 * weights_m @ weights_m)
        trial.quadratic("v", adam.second_moment, v, 2 * mean * std * weights_v, std**2 * weights_v)


@identity(
    "network.ema",
    judges="network.EMA.update",
    states=r"\bar\theta_k = d_k\, \bar\theta_{k-1} + (1 - d_k)\, \theta_k, \qquad"
    r" d_k = \min\left(d, \frac{1 + k}{10 + k}\right)",
    source="Polyak & Juditsky (1992); the growing decay is TensorFlow's (2015)",
    statistics=2,
    coincides="After one step a decay that is overwritten has done no harm yet.",
)
class MovingAverage:
    """An average of normal vectors is normal, with weights that one can write down and that add up to 1."""

    DECAY, STEPS = 0.3, 6  # the decay grows to d at k = 3 and stays there

    @staticmethod
    def weights():
        """Return the weights of the start and of theta_1, theta_2, ... in the average."""
        weights = np.array([1.0])
        for k in range(1, MovingAverage.STEPS + 1):
            decay = min(MovingAverage.DECAY, (1 + k) / (10 + k))
            weights = np.append(decay * weights, 1 - decay)
        return weights

    @staticmethod
    def exact(claimed, case, evidence):
        path = np.outer(np.cos(np.arange(MovingAverage.STEPS + 1)), case.x_0)
        ema = claimed.network.EMA(path[0], MovingAverage.DECAY)
        for theta in path[1:]:
            ema.update(theta)
        evidence.close("average", ema.average, MovingAverage.weights() @ path)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        start, weights = case.x_0[0], MovingAverage.weights()
        ema = claimed.network.EMA(np.full(trial.n, start), MovingAverage.DECAY)
        for _ in range(MovingAverage.STEPS):
            ema.update(case.intercept + trial.rng.standard_normal(trial.n))
        mean, var = weights[0] * start + (1 - weights[0]) * case.intercept, weights[1:] @ weights[1:]
        trial.mean("average", ema.average, mean, var)
        trial.var("variance of the average", ema.average, mean, var)


@identity(
    "network.cosine_learning_rate",
    judges="network.cosine_learning_rate",
    states=r"\eta_k = \begin{cases} \eta\, \dfrac{k}{w + 1} & k \le w \\"
    r" \dfrac\eta2 \left(1 + \cos \pi\, \dfrac{k - 1 - w}{n - w}\right) & k > w \end{cases}, \qquad"
    r" \frac1n \sum_{k=1}^n \eta_k = \eta\, \frac{n + 1}{2n}",
    source="Loshchilov & Hutter (2017), eq. 5; Goyal et al. (2017), section 2.2",
    statistics=1,
    coincides="Without warm-up it does not matter where the cosine starts to count.",
)
class CosineLearningRate:
    """The mean rate over all steps is (n + 1) / 2n of the peak, whatever the warm-up."""

    @staticmethod
    def exact(claimed, case, evidence):
        steps = 2 * case.T
        for warmup in (0, case.s, case.T):
            rates = [
                claimed.network.cosine_learning_rate(k, steps, case.var_p, warmup=warmup) for k in range(1, steps + 1)
            ]
            rise = [k / (warmup + 1) for k in range(1, warmup + 1)]
            fall = [math.cos(math.pi / 2 * j / (steps - warmup)) ** 2 for j in range(steps - warmup)]
            evidence.close(f"rates, warmup {warmup}", rates, case.var_p * np.array(rise + fall))
            evidence.close(f"mean rate, warmup {warmup}", np.mean(rates), case.var_p * (steps + 1) / (2 * steps))

    @staticmethod
    def monte_carlo(claimed, case, trial):
        steps = 2 * case.T
        rates = np.array(
            [claimed.network.cosine_learning_rate(k, steps, 1.0, warmup=case.T) for k in range(1, steps + 1)]
        )
        ramp, fall = np.arange(1, case.T + 1) / (case.T + 1), np.cos(np.pi / 2 * np.arange(case.T) / case.T) ** 2
        mean = (steps + 1) / (2 * steps)
        var = np.mean(np.append(ramp, fall) ** 2) - mean**2
        trial.bounded("E rate of a random step", rates[trial.rng.integers(steps, size=trial.n)], mean, var, span=1.0)


@identity(
    "network.clip_by_global_norm",
    judges="network.clip_by_global_norm",
    states=r"g \leftarrow g \cdot \min\left(1, \frac{c}{\lVert g \rVert}\right)",
    source="Pascanu, Mikolov & Bengio (2013), Algorithm 1",
    statistics=2,
    coincides="For a gradient with one entry it does not matter what the norm is taken of.",
    in_place=True,
)
class ClipByGlobalNorm:
    """What was cut off can be put back: the clipped vector, times the norm it had over the limit, is the old one.

    By chance: it was drawn from a normal law, and must be normal again.
    """

    @staticmethod
    def exact(claimed, case, evidence):
        gradient = np.concatenate([case.x_0, case.eps])
        norm = math.hypot(*gradient)
        for limit, factor in ((norm / 2, 0.5), (2 * norm, 1.0), (math.inf, 1.0)):
            clipped = gradient.copy()
            evidence.close("the norm it had", claimed.network.clip_by_global_norm(clipped, limit), norm)
            evidence.close(f"clipped to {limit / norm:g} of it", clipped, factor * gradient)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        gradient, limit = trial.rng.standard_normal(trial.n), 1e-3
        norm = claimed.network.clip_by_global_norm(gradient, limit)
        trial.mean("mean, put back", gradient * norm / limit, 0.0, 1.0)
        trial.var("variance, put back", gradient * norm / limit, 0.0, 1.0)


@identity(
    "network.fit",
    judges=("network.fit", "network.TrainingState"),
    states=r"\theta_1 = \theta_0 - \eta \operatorname{sign} \nabla L, \qquad"
    r" L = \frac1{nd} \sum \lVert \epsilon - \hat\epsilon \rVert^2, \quad \epsilon \sim \mathcal{N}(0, I)",
    source="Ho, Jain & Abbeel (2020), Algorithm 1",
    statistics=2,
)
class Fit:
    """A network whose parameters are all 0 answers 0, so its loss is the noise itself, squared: chi-square.

    And its first step moves each bias of the last layer by the rate, towards the noise: up as often as down.
    """

    RATE = 0.25

    @staticmethod
    def one_step(claimed, case, dim, rng):
        """Return the record of one step on one point, the biases of the last layer after it, and their average."""
        model = claimed.network.MLP(dim, rng=rng, width=1, depth=1, time_dim=2, dtype=np.float64)
        model.theta[...] = 0.0
        state = claimed.network.TrainingState.start(model)
        data = np.full((1, dim), case.x_0[0])
        (record,) = claimed.network.fit(
            model, data, case.schedule, rng, 1, batch_size=1, learning_rate=Fit.RATE, clip_norm=math.inf, state=state
        )
        return record, state.theta[-dim:], model.theta[-dim:]

    @staticmethod
    def exact(claimed, case, evidence):
        record, biases, average = Fit.one_step(claimed, case, 101, stream("fit", case))
        evidence.close("step", record.step, 1)
        evidence.close("rate", record.learning_rate, Fit.RATE)
        # Adam's epsilon shortens the step of parameters with hardly any gradient; the median is not among them
        evidence.close("size of the step", np.median(np.abs(biases)), Fit.RATE, 1e-5)
        evidence.close("the model holds the average", average, 9 / 11 * biases)
        # both signs occur, but for a chance of 2^-100
        evidence.true("steps up and down", (biases > 0).any() and (biases < 0).any())

    @staticmethod
    def monte_carlo(claimed, case, trial):
        record, biases, _ = Fit.one_step(claimed, case, trial.n, trial.rng)
        trial.bounded("E sign of the step", np.sign(biases), 0.0, 1.0)
        trial.var("the loss of an answer 0", np.full(trial.n, math.sqrt(record.loss)), 0.0, 1.0)  # a mean of n squares


@identity(
    "network.drop_labels",
    judges="network.drop_labels",
    states=r"y_i \leftarrow -1 \text{ with probability } p, \text{ each by itself}",
    source="Ho & Salimans (2022), Algorithm 1",
    statistics=2,
    coincides="p and 1 - p are the same for p = 1/2, and dropping all together is dropping each for one label, or for"
    " p = 0 and p = 1.",
)
class DropLabels:
    """Whether a label was dropped is a coin that falls so with probability p, and two coins fall so with p^2."""

    @staticmethod
    def exact(claimed, case, evidence):
        y, rng = np.arange(100) % 4 - 1, stream("drop labels", case)  # a quarter has none
        evidence.close("p = 0", claimed.network.drop_labels(y, 0.0, rng), y)
        evidence.close("p = 1", claimed.network.drop_labels(y, 1.0, rng), np.full(100, -1))
        found = claimed.network.drop_labels(y, case.weight, rng)
        evidence.close("kept as they are, or dropped", found, np.where(found < 0, -1, y))
        # 75 labels with p in [.25, .75] are neither all kept nor all dropped, but for a chance of 2 x .75^75 < 1e-9
        dropped = found[y >= 0] < 0
        evidence.true("some are kept and some are dropped", dropped.any() and not dropped.all())

    @staticmethod
    def monte_carlo(claimed, case, trial):
        p = case.weight
        dropped = claimed.network.drop_labels(np.arange(trial.n) % 3, p, trial.rng) < 0
        trial.bounded("share of dropped labels", dropped, p, p * (1 - p), span=1.0)
        both = dropped[0:-1:2] & dropped[1::2]
        trial.bounded("share of pairs dropped", both, p**2, p**2 * (1 - p**2), span=1.0)


@identity(
    "network.fit_labels",
    judges="network.fit",
    states=r"\nabla_\theta \frac1{nd} \sum_i \lVert \epsilon_i - \hat\epsilon(x_{t_i}, t_i, y_i) \rVert^2, \qquad"
    r" (x_{0,i}, y_i) \text{ drawn together}, \qquad y_i \leftarrow -1 \text{ with probability } p",
    source="Ho & Salimans (2022), Algorithm 1",
    statistics=2,
    coincides="For p = 0 it does not matter whether labels are dropped, and for a label that all points share not from"
    " where it was drawn.",
)
class FitLabels:
    """The gradient of a label's row counts the points that came with it.

    The first of two hidden units is open for all points, and makes the answer so large (5e7) that every point has the
    same share in the gradients: that of a label's row, over that of the bias, is the share of points which kept the
    label. The second is open only for points on the right, and tells the same of them: each of these has the label 1,
    or none.
    """

    @staticmethod
    def counts(claimed, case, n, p, rng, labelled=True):
        """Return how many of n points kept each label; the same of those on the right; and how many these are."""
        model = claimed.network.MLP(1, rng=rng, width=2, depth=1, time_dim=2, classes=2, dtype=np.float64)
        far = 1e3 / math.sqrt(case.alpha_bar(case.T))  # at no step does noise carry a point to the other side
        model.theta[...] = 0.0
        model.parameters["bias_1"][0] = 50.0
        model.parameters["weight_1"][0, 1] = 0.04
        model.parameters["weight_2"][...] = [[1e6], [1e-3]]
        state = claimed.network.TrainingState.start(model)
        y = np.arange(40) % 2
        options = {"labels": y, "drop_label": p} if labelled else {}
        list(
            claimed.network.fit(
                *(model, far * (2.0 * y[:, None] - 1), case.schedule, rng, 1),
                **{"batch_size": n, "clip_norm": math.inf, "state": state, **options},
            )
        )
        gradients = claimed.network.MLP.from_theta(state.first_moment.copy(), **model.config).parameters
        rows, bias = gradients["weight_1"][1:3], gradients["bias_1"]
        of_all, of_right = (rows / bias).T
        open_share = bias[1] / bias[0] * 1e9  # the weights of the two units differ by so much
        return n * of_all, n * open_share * of_right, n * open_share

    @staticmethod
    def exact(claimed, case, evidence):
        rng, n = stream("fit labels", case), 100
        kept, right, number = FitLabels.counts(claimed, case, n, 0.0, rng)
        evidence.close("p = 0: all are kept", kept.sum(), n)
        evidence.close("p = 0: on the right it is 1", right, [0.0, number])
        kept, _, _ = FitLabels.counts(claimed, case, n, 1.0, rng)
        evidence.close("p = 1: none is kept", kept, np.zeros(2))
        kept, _, _ = FitLabels.counts(claimed, case, n, 0.0, rng, labelled=False)
        evidence.close("no labels: none is kept", kept, np.zeros(2))
        # but for a chance of 2^-99
        kept, _, _ = FitLabels.counts(claimed, case, n, 0.5, rng)
        evidence.true("some are kept and some are dropped", 0.5 < kept.sum() < n - 0.5)

    @staticmethod
    def monte_carlo(claimed, case, trial):
        n, p = trial.n, case.weight
        kept, right, number = FitLabels.counts(claimed, case, n, p, trial.rng)
        # whole numbers up to the noise, which is lost beside 5e7: one digit in a million
        trial.bounded("share of kept labels", np.arange(n) < round(kept.sum()), 1 - p, p * (1 - p), span=1.0)
        trial.bounded("share of 0 on the right", np.arange(round(number)) < round(right[0]), 0.0, 0.0, span=1.0)
