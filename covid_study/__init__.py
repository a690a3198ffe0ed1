"""Helpers of the covid-study notebooks: selecting negatives (paper A) and learning from few positives (paper B).

Importing the package imports nothing heavy; import the module you need (`from covid_study.ranking import emd`).
"""

__version__ = "0.1.0"
