r"""Identities of the exercises alone: what the catalogue judges only as a part of something larger.

The three operations of a layer, each with its derivative, and the weight of one chain. The evidence is written from
the equations; derivatives are central differences of the value.
"""

import re

import numpy as np

from refdiff.verify.catalogue.likelihood.importance import log_weights_of
from refdiff.verify.identity import Identity

__all__ = ["OWN", "SOURCES"]

OWN = {}
SOURCES = {  # where refdiff has the functions that these identities are about
    "network.linear": "network.mlp.linear",
    "network.silu": "network.mlp.silu",
    "network.dense": "network.mlp.dense",
    "likelihood.log_weight": "elbo.undecomposed_on_chain",
}
STEP, TOLERANCE = 1e-5, 1e-7  # of central differences, and what they are good for


def own(key, *, states, source, coincides):
    """Enter an identity of the exercises; decorates its exact route, whose docstring is the idea."""

    def register(exact):
        OWN[key] = Identity(
            key=key,
            chapter=key.split(".")[0],
            states=states,
            source=source,
            judges=(key,),
            coincides=coincides,
            why=exact.__doc__,
            exact=exact,
        )
        return exact

    return register


def activated(x):
    """Return x sigma(x)."""
    return x / (1 + np.exp(-x))


def layer(case):
    """Return x of shape (2, d), weight (d, 2) and bias (2,), in general position."""
    x = np.array([case.x_t, case.x_0])
    return x, np.outer(case.eps, [0.5, -1.0]) + 0.25, np.array([0.5, -0.25])


def slopes(value, at, dy):
    """Return the gradient of sum(dy * value(at)) by central differences."""
    found = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[index] = STEP
        found[index] = np.sum(dy * (value(at + step) - value(at - step))) / (2 * STEP)
    return found


def judge_layer(evidence, operation, value, arguments, names):
    """Compare a layer's value, and what its pullback makes of dy = 1, 2, ..., with the equation and its differences."""
    y, pullback = operation(*arguments)
    truth = value(*arguments)
    at = ", ".join(f"{name} = {written(one)}" for name, one in zip(("x", "W", "b"), arguments))
    evidence.close(f"y at {at}", y, truth)
    dy = np.arange(1.0, truth.size + 1).reshape(truth.shape)
    gradients = pullback(dy)
    if len(names) == 1:
        gradients = (gradients,)
    elif not isinstance(gradients, tuple | list) or len(gradients) != len(names):
        raise TypeError(f"pullback(dy) returns ({', '.join(names)}), {len(names)} arrays")
    for k, (name, gradient) in enumerate(zip(names, gradients)):

        def along(one, k=k):
            return value(*arguments[:k], one, *arguments[k + 1 :])

        what = f"{name} at {at} for dy = {written(dy)}"
        evidence.close(what, gradient, slopes(along, arguments[k], dy), TOLERANCE)


def written(array):
    """Return an array as one would write it down."""
    return re.sub(r"\.0(?=[,\]])", "", str(array.round(3).tolist()))


def affine(x, weight, bias):
    """Return x W + b, term by term."""
    return np.einsum("na,ab->nb", x, weight) + bias


def hidden(x, weight, bias):
    """Return silu(x W + b)."""
    return activated(affine(x, weight, bias))


@own(
    "network.linear",
    states=r"y = x W + b: \qquad \partial x = \partial y\, W^\top, \quad \partial W = x^\top \partial y, \quad"
    r" \partial b = \textstyle\sum_{\text{rows}} \partial y",
    source="the chain rule",
    coincides="With one point the sum over the rows is no sum.",
)
def judge_linear(claimed, case, evidence):
    """Two points, two outputs: each derivative has a shape of its own, and each is a central difference."""
    judge_layer(evidence, claimed.network.linear, affine, layer(case), ("dx", "dW", "db"))


@own(
    "network.silu",
    states=r"y = x\,\sigma(x): \qquad \partial x = \partial y \left(\sigma(x) + y\,(1 - \sigma(x))\right)",
    source="Elfwing, Uchibe & Doya (2018), section 2",
    coincides="At x = 0 a version without the product rule is right up to its first term.",
)
def judge_silu(claimed, case, evidence):
    """The derivative is a central difference; far out the value is x or 0, and no NaN."""
    x = np.array([case.x_t, case.eps])
    judge_layer(evidence, claimed.network.silu, activated, (x,), ("dx",))
    evidence.close("y at -800 and 800", claimed.network.silu(np.array([-800.0, 800.0]))[0], [0.0, 800.0])


@own(
    "network.dense",
    states=r"y = \operatorname{silu}(x W + b): \qquad \partial a = \partial y\,\operatorname{silu}'(a), \quad"
    r" (\partial x, \partial W, \partial b) = (\partial a\, W^\top, x^\top \partial a,"
    r" \textstyle\sum_{\text{rows}} \partial a), \quad a = x W + b",
    source="the chain rule",
    coincides="Where all of a is large, silu is the identity, and its derivative may be forgotten.",
)
def judge_dense(claimed, case, evidence):
    """A layer of two points and two outputs, differentiated as a whole by central differences."""
    judge_layer(evidence, claimed.network.dense, hidden, layer(case), ("dx", "dW", "db"))


@own(
    "likelihood.log_weight",
    states=r"\log w = \log p(x_T) + \sum_{t=1}^T \left[\log p(x_{t-1} \mid x_t) - \log q(x_t \mid x_{t-1})\right]",
    source="Sohl-Dickstein et al. (2015), eq. 7 to 9",
    coincides="Along the exact reverse process each weight is p(x_0), on whatever chain.",
)
def judge_log_weight(claimed, case, evidence):
    """Three chains through given points, each factor of the weight by itself."""
    scales = np.linspace(1.0, -0.5, case.T + 1)[:, None, None]
    chains = scales * np.array([case.x_0, case.x_t, case.eps]) + 0.25
    found = claimed.likelihood.log_weight(case.schedule, case.denoiser, chains)
    truth = log_weights_of(case, case.denoiser, chains, "beta", "beta_1")
    evidence.close("log w of three chains", found, truth, 1e-11)
