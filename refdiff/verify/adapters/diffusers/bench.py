r"""A scheduler on the bench: faithful copies of it under any options, and its steps taken apart.

What is judged is the object handed over, with whatever was patched on it: each probe runs on a deep copy whose
options are changed, never on a new object of its class. What only a constructor decides (arrays, whether an option is
heeded) is tried on new objects besides. Only ``torch`` is imported, and only when a scheduler is at hand.
"""

import copy
import functools
import inspect
import types
import warnings

import numpy as np

from refdiff.verify.adapters.diffusers.truth import Chain

__all__ = ["Bench", "Probe", "faithful_copy", "fit", "inverse_of"]

SHAPE = (2, 3, 4, 5)  # no two axes alike, no axis of one: a wrong axis, a missing split and a broadcast all show


def _rebound(value, old, new):
    """Return a function, or a bound method, in which `old` is replaced by `new` wherever it is closed over."""
    if value is old:
        return new
    if isinstance(value, types.MethodType):
        of = new if value.__self__ is old else value.__self__
        return types.MethodType(_rebound(value.__func__, old, new), of)
    if isinstance(value, functools.partial):
        keywords = {name: _rebound(one, old, new) for name, one in value.keywords.items()}
        return functools.partial(
            _rebound(value.func, old, new), *(_rebound(a, old, new) for a in value.args), **keywords
        )
    if not isinstance(value, types.FunctionType):
        return value
    cells, defaults = value.__closure__ or (), value.__defaults__ or ()
    inner = [_rebound(cell.cell_contents, old, new) for cell in cells]
    given = tuple(_rebound(one, old, new) for one in defaults)
    named = {name: _rebound(one, old, new) for name, one in (value.__kwdefaults__ or {}).items()}
    same = all(a is c.cell_contents for a, c in zip(inner, cells)) and all(a is b for a, b in zip(given, defaults))
    if same and all(named[name] is one for name, one in (value.__kwdefaults__ or {}).items()):
        return value
    made = types.FunctionType(
        value.__code__, value.__globals__, value.__name__, given or None, tuple(types.CellType(one) for one in inner)
    )
    made.__kwdefaults__, made.__dict__ = named or None, dict(value.__dict__)
    return made


def faithful_copy(scheduler):
    """Return a deep copy in which patched methods are bound to the copy, even where they closed over the original."""
    copied = copy.deepcopy(scheduler)
    for name, value in vars(scheduler).items():
        if isinstance(value, types.FunctionType | types.MethodType | functools.partial):
            vars(copied)[name] = _rebound(value, scheduler, copied)
    return copied


class Bench:
    """A scheduler and what it offers; :meth:`copy` and :meth:`built` set others up, under other options."""

    def __init__(self, scheduler):
        self._given = scheduler
        names = {cls.__name__ for cls in type(scheduler).__mro__}
        self.kind = "ddim" if "DDIMScheduler" in names else "ddpm"
        self.config = {key: value for key, value in dict(scheduler.config).items() if not key.startswith("_")}

    def __getattr__(self, name):  # what the scheduler has, so that what it lacks is "not provided"
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._given, name)

    @property
    def bench(self):
        """The object itself, from behind any wrapper."""
        return self

    @property
    def given(self):
        """A copy of the scheduler as it was handed over."""
        return faithful_copy(self._given)

    @property
    def T(self):
        """The number of steps it was trained with."""
        return int(self.config["num_train_timesteps"])

    @property
    def chain(self):
        """The chain that its configuration describes."""
        return Chain.of(self.config)

    def built(self, **options):
        """Return a new object of its class with these options, or None where its constructor does not take them."""
        parameters = inspect.signature(type(self._given).__init__).parameters
        if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
            wanted = {**self.config, **options}
        elif set(options) <= set(parameters):
            wanted = {key: value for key, value in {**self.config, **options}.items() if key in parameters}
        else:
            return None
        required = {p.name for p in list(parameters.values())[1:] if p.default is p.empty and p.kind < p.VAR_POSITIONAL}
        return type(self._given)(**wanted) if required <= set(wanted) else None

    def copy(self, betas=None, steps=None, **options):
        """Return a copy as handed over but for these options, at the beginning of its life: no stride chosen yet.

        `betas` replaces the schedule, arrays and all; `steps` is then what set_timesteps is asked for: a number, or
        a list of its own.
        """
        import torch

        made = self.given
        if betas is not None:
            options.update(num_train_timesteps=len(betas), trained_betas=[float(b) for b in betas])
            options.update(rescale_betas_zero_snr=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made.register_to_config(**options)
        if "variance_type" in options:
            made.variance_type = options["variance_type"]
        if betas is not None:
            made.betas = torch.tensor(np.asarray(betas), dtype=torch.float32)
            made.alphas = 1 - made.betas
            made.alphas_cumprod = torch.cumprod(made.alphas, dim=0)
        if (betas is not None or "set_alpha_to_one" in options) and hasattr(made, "final_alpha_cumprod"):
            made.final_alpha_cumprod = torch.tensor(1.0) if made.config.set_alpha_to_one else made.alphas_cumprod[0]
        T = int(made.config.num_train_timesteps)
        made.num_inference_steps, made.timesteps = None, torch.arange(T - 1, -1, -1)
        if hasattr(made, "custom_timesteps"):
            made.custom_timesteps = False
        if isinstance(steps, list):
            self.call("set_timesteps", made.set_timesteps, timesteps=steps)
        elif steps is not None:
            self.call("set_timesteps", made.set_timesteps, steps)
        elif self.kind == "ddim":  # which will not step before it is told in how many
            spacing = made.config.timestep_spacing
            made.register_to_config(timestep_spacing="leading")
            self.call("set_timesteps", made.set_timesteps, T)
            made.register_to_config(timestep_spacing=spacing)
        return made

    @staticmethod
    def call(what, method, *arguments, **options):
        """Return method(...), or raise its error with what was asked: the message is the report."""
        try:
            return method(*arguments, **options)
        except Exception as error:
            asked = ", ".join([*map(str, arguments), *(f"{name}={value}" for name, value in options.items())])
            raise RuntimeError(f"{what}({asked}) raised {type(error).__name__}: {error}") from error


class Probe:
    """One sample, one model output and the noise that a seeded generator will give: known on both sides.

    Drawn once, rounded to float32, in general position; `spread` scales them.
    """

    def __init__(self, seed=0, shape=SHAPE, spread=1.0, learned=False):
        import torch

        rng = np.random.default_rng([seed, 17])
        channels = (shape[0], 2 * shape[1], *shape[2:]) if learned else shape
        self.seed, self.shape = 1000 + seed, shape
        self.sample = torch.tensor(spread * (0.4 + rng.standard_normal(shape)), dtype=torch.float32)
        self.output = torch.tensor(spread * (rng.standard_normal(channels) - 0.3), dtype=torch.float32)
        self.generator = torch.Generator()
        self.noise = torch.randn(shape, generator=self.generator.manual_seed(self.seed))
        if learned:  # the second half of the channels speaks of the variance: a positive number, within [-1, 1]
            self.output[:, shape[1] :] = torch.tensor(rng.uniform(0.05, 0.95, shape), dtype=torch.float32)
        self.x, self.m, self.z = (a.double().numpy() for a in (self.sample, self.output[:, : shape[1]], self.noise))
        self.share = self.output[:, shape[1] :].double().numpy() if learned else None

    def step(self, scheduler, t, **options):
        """Return x_prev and the predicted x_0 of one step, in float64."""
        generator = self.generator.manual_seed(self.seed)
        try:
            found = scheduler.step(
                self.output.clone(), t, self.sample.clone(), generator=generator, return_dict=False, **options
            )
            found = found[0].double().numpy(), found[1].double().numpy()
        except Exception as error:
            raise RuntimeError(f"step at t = {int(t)} raised {type(error).__name__}: {error}") from error
        for name, one in zip(("x_prev", "predicted x_0"), found):
            if one.shape != self.shape:
                raise ValueError(f"step at t = {int(t)}: {name} has shape {one.shape} where {self.shape} is right")
        return found


def fit(design, found, inverse=None):
    """Return the weights with which the columns of a design make up what was found, and the largest remainder.

    Each column is one array of the probe, so a weight is measured on all entries at once: to a few digits more than
    any entry has, and a small weight beside a large one is still seen.
    """
    columns = np.stack([np.ravel(a) for a in design], axis=1)
    if not np.isfinite(found).all():
        return np.full(columns.shape[1], np.nan), np.nan
    weights = (np.linalg.pinv(columns) if inverse is None else inverse) @ np.ravel(found)
    return weights, np.abs(np.ravel(found) - columns @ weights).max()


def inverse_of(design):
    """Return what fit() inverts, for a design that is used many times."""
    return np.linalg.pinv(np.stack([np.ravel(a) for a in design], axis=1))
