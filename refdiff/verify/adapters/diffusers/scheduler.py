r"""A scheduler of diffusers as an implementation that the judge can be given.

It brings its own identities along, and counterparts of a few functions that the catalogue asks for.
"""

import types

import numpy as np

from refdiff.gaussian import Gaussian
from refdiff.verify.adapters.diffusers.bench import Bench
from refdiff.verify.adapters.diffusers.common import PLAIN, identities_of

__all__ = ["from_diffusers"]

PRECISION = 1e-4  # float32 on the catalogue's coarse cases: a few roundings times 1 / sqrt(alpha_bar_8) = 40


def from_diffusers(scheduler):
    """Return a DDPMScheduler or DDIMScheduler of diffusers as an implementation for :func:`refdiff.verify.judge`.

    Judged is the object as it stands, with everything that was patched on it, under all its options: each probe runs
    on a deep copy with changed options. What its class's constructor makes of options is judged beside. It brings its
    own identities, ``diffusers.*``, about every t of its chain and with tolerances for its float32; a few identities
    of the catalogue apply besides. Steps are named as in diffusers, t = 0..T - 1. The object itself is never changed.

    Parameters
    ----------
    scheduler : DDPMScheduler or DDIMScheduler
        Or a subclass, or an instance with methods or arrays of your own put in place.

    Returns
    -------
    SchedulerImplementation

    Raises
    ------
    TypeError
        If it is a class, or a scheduler of another kind.

    Notes
    -----
    Needs diffusers and torch: ``pip install "refdiff[bench]"``. A patch that speaks of the scheduler by a global name
    goes on speaking of the original; closures and bound methods are bound to the copies.
    """
    if isinstance(scheduler, type):
        raise TypeError(
            f"scheduler must be an instance; got the class {scheduler.__name__}. Write {scheduler.__name__}()."
        )
    names = [cls.__name__ for cls in type(scheduler).__mro__]
    if not {"DDPMScheduler", "DDIMScheduler"} & set(names):
        raise TypeError(
            f"scheduler must be a DDPMScheduler or a DDIMScheduler, or a subclass; got {names[0]}."
            " Others solve differential equations and make no claim about the posterior: use from_betas."
        )
    return SchedulerImplementation(scheduler)


class SchedulerImplementation:
    """A scheduler with its own identities, and with the functions of the catalogue that have a counterpart in it."""

    def __init__(self, scheduler):
        self.diffusers = Bench(scheduler)
        self.precision = {"diffusers": 0.0, "": PRECISION}
        functions = Counterparts(self.diffusers)
        self.forward = types.SimpleNamespace(diffuse=functions.diffuse, marginal=functions.marginal)
        self.parameterize = types.SimpleNamespace(
            x_0_from_eps=functions.x_0_from_eps,
            x_0_from_v=functions.x_0_from_v,
            mean_from_eps=functions.mean_from_eps,
            mean_from_x_0=functions.mean_from_x_0,
        )
        self.bayes = types.SimpleNamespace(
            posterior=functions.posterior, posterior_from_eps=functions.posterior_from_eps
        )

    @property
    def identities(self):
        """What is claimed of a scheduler of this kind: key to Identity."""
        return identities_of(self.diffusers.kind)

    def __repr__(self):
        return f"from_diffusers({type(self.diffusers.bench._given).__name__})"


class Counterparts:
    """Functions with refdiff's arguments that ask a scheduler: its steps are one less, its laws come by sampling."""

    def __init__(self, bench):
        self._bench, self._copies = bench, {}

    def __getstate__(self):
        return {"_bench": self._bench, "_copies": {}}

    def _copy(self, schedule, prediction="epsilon"):
        key = schedule.beta.tobytes(), prediction
        if (found := self._copies.get(key)) is None:
            choice = {"variance_type": "fixed_small"} if self._bench.kind == "ddpm" else {"set_alpha_to_one": True}
            choice |= {**PLAIN, "prediction_type": prediction}
            found = self._bench.copy(betas=schedule.beta[1:], **choice)
            self._copies = {key: found}  # one case at a time
        return found

    def _noised(self, schedule, x_0, eps, t):
        import torch

        x_0, eps = np.broadcast_arrays(np.asarray(x_0, dtype=float), np.asarray(eps, dtype=float))
        rows, noise = (torch.tensor(a.reshape(-1, a.shape[-1]), dtype=torch.float32) for a in (x_0, eps))
        steps = torch.tensor(np.broadcast_to(np.asarray(t) - 1, x_0.shape[:-1]).reshape(-1))
        return self._copy(schedule).add_noise(rows, noise, steps).double().numpy().reshape(x_0.shape)

    def diffuse(self, schedule, x_0, eps, t):
        """Return what add_noise makes of x_0 and eps."""
        return self._noised(schedule, x_0, eps, t)

    def marginal(self, schedule, x_0, t):
        """Return what add_noise does to x_0 without noise, and to noise without x_0."""
        zero = np.zeros_like(np.asarray(x_0, dtype=float))
        return Gaussian(self._noised(schedule, x_0, zero, t), self._noised(schedule, zero, zero + 1.0, t) ** 2)

    def _stepped(self, schedule, prediction, output, x_t, t):
        """Return mean and variance of x_prev, and the predicted x_0: two steps with one noise, which is known."""
        import torch

        output, x_t = np.asarray(output, dtype=float), np.asarray(x_t, dtype=float)
        steps = np.broadcast_to(np.asarray(t) - 1, x_t.shape[:-1]).reshape(-1)
        rows = [a.reshape(-1, a.shape[-1]) for a in (output, x_t)]
        scheduler, options = self._copy(schedule, prediction), {}
        if self._bench.kind == "ddim":
            options["eta"] = 1.0
        found = np.empty((3, *rows[0].shape))
        for step in np.unique(steps):
            mine = steps == step
            m, x = (torch.tensor(a[mine], dtype=torch.float32) for a in rows)
            z = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
            moved, fresh = (
                scheduler.step(
                    scale * m,
                    int(step),
                    scale * x,
                    generator=torch.Generator().manual_seed(1),
                    return_dict=False,
                    **options,
                )
                for scale in (1.0, 0.0)
            )
            noise = fresh[0].double().numpy()
            std = (noise * z.double().numpy()).sum() / (z.double().numpy() ** 2).sum()
            found[0, mine], found[1, mine] = moved[0].double().numpy() - noise, std**2
            found[2, mine] = moved[1].double().numpy()
        return found.reshape(3, *x_t.shape)

    def x_0_from_eps(self, schedule, x_t, eps, t):
        """Return pred_original_sample of a step, the model's output being eps."""
        return self._stepped(schedule, "epsilon", eps, x_t, t)[2]

    def x_0_from_v(self, schedule, x_t, v, t):
        """Return pred_original_sample of a step, the model's output being v."""
        return self._stepped(schedule, "v_prediction", v, x_t, t)[2]

    def mean_from_eps(self, schedule, x_t, eps, t):
        """Return prev_sample of a step without its noise, the model's output being eps."""
        return self._stepped(schedule, "epsilon", eps, x_t, t)[0]

    def mean_from_x_0(self, schedule, x_t, x_0, t):
        """Return prev_sample of a step without its noise, the model's output being x_0."""
        return self._stepped(schedule, "sample", x_0, x_t, t)[0]

    def posterior(self, schedule, x_0, x_t, t):
        """Return the law of prev_sample, the model's output being x_0."""
        mean, var, _ = self._stepped(schedule, "sample", x_0, x_t, t)
        return Gaussian(mean, var, point_mass=True)

    def posterior_from_eps(self, schedule, eps, x_t, t):
        """Return the law of prev_sample, the model's output being eps."""
        mean, var, _ = self._stepped(schedule, "epsilon", eps, x_t, t)
        return Gaussian(mean, var, point_mass=True)
