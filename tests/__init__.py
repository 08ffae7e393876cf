"""Mosaic's tests: unit, contracts, interop and browser."""

from hypothesis import HealthCheck, settings

# A busy machine must not fail a property: no deadline for one example.
settings.register_profile(
    "mosaic", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("mosaic")
