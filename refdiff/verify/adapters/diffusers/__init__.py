"""What is claimed of a scheduler of diffusers: one file a part of it, each claim beside its evidence.

The package of that name is not imported here; what is handed over brings it along. Reports list the identities in the
order in which these files enter them.
"""

from refdiff.verify.adapters.diffusers import (  # noqa: F401, I001  they fill OWN, in this order
    schedule,
    forward,
    timesteps,
    reverse,
    whole,
)
from refdiff.verify.adapters.diffusers.common import OWN, identities_of
from refdiff.verify.adapters.diffusers.scheduler import from_diffusers

__all__ = ["OWN", "from_diffusers", "identities_of"]
