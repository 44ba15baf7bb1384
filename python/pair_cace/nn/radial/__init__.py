"""Radial functions: one file a basis. ``RADIAL_BASES`` has them by name."""

from .basis import RADIAL_BASES, RadialBasis
from .bessel import BesselBasis, StretchedBesselBasis
from .cutoff import PolynomialCutoff

RADIAL_BASES.register("bessel")(BesselBasis)
RADIAL_BASES.register("stretched_bessel")(StretchedBesselBasis)

__all__ = ["RADIAL_BASES", "PolynomialCutoff", "RadialBasis"]
