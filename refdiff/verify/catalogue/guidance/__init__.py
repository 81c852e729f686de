r"""Identities of guidance."""

from refdiff.verify.catalogue.guidance import denoisers, flow, labelled, normal

__all__ = ["denoisers", "flow", "labelled", "normal"]
