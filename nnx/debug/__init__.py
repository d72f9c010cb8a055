"""What costs time, for when something is wrong or slow: finite numbers, statistics of parameters, a profile."""

from typing import TYPE_CHECKING

from nnx.debug.finite import NotFiniteError, check_data, check_finite, checks, is_checking

if TYPE_CHECKING:
    from nnx.debug.parameter_statistics import Statistics, StatisticsRow, statistics
    from nnx.debug.profiling import Profile, ProfileRow, profile
else:
    from nnx.lazy_loading import on_demand

    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "Profile": "nnx.debug.profiling",
            "ProfileRow": "nnx.debug.profiling",
            "Statistics": "nnx.debug.parameter_statistics",
            "StatisticsRow": "nnx.debug.parameter_statistics",
            "profile": "nnx.debug.profiling",
            "statistics": "nnx.debug.parameter_statistics",
        },
    )

__all__ = [
    "NotFiniteError",
    "Profile",
    "ProfileRow",
    "Statistics",
    "StatisticsRow",
    "check_data",
    "check_finite",
    "checks",
    "is_checking",
    "profile",
    "statistics",
]
