"""What costs time, for when something is wrong or slow: finite numbers, statistics of parameters, a profile."""

from nnx.debug.finite import NotFiniteError, check_data, check_finite, is_checking, watched
from nnx.debug.profiling import Profile, ProfileRow, profile
from nnx.debug.statistics import Statistics, StatisticsRow, statistics

__all__ = [
    "NotFiniteError",
    "Profile",
    "ProfileRow",
    "Statistics",
    "StatisticsRow",
    "check_data",
    "check_finite",
    "is_checking",
    "profile",
    "statistics",
    "watched",
]
