"""The parameters of the study: what a profile may hold, and how it is read.

Read `sections` (a model a section, each key with its meaning), then `profiles` (reading, checking, naming what is wrong).
In a notebook: `p = params.load("04_ranking_ablation", study=study, sampling=sampling)`, then `params.show(p)`.
"""

from covid_study.params.profiles import load, show
from covid_study.params.sections import Profile

__all__ = ["Profile", "load", "show"]
