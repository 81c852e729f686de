"""Adapters: other people's code as implementations that the judge can be given.

``from_diffusers(scheduler)`` takes a DDPMScheduler or DDIMScheduler, ``from_betas(betas, **functions)`` tables and
functions over one fixed schedule. Nothing of torch or diffusers is imported here.
"""

from refdiff.verify.adapters.betas import from_betas
from refdiff.verify.adapters.diffusers import from_diffusers

__all__ = ["from_betas", "from_diffusers"]
