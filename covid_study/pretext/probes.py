"""A linear probe of encoders, exam by exam, and the untrained encoder that it is compared with.

`train.Probe` gives one number an epoch; here every exam keeps its score, so that two encoders can be compared on
the same exams with an interval (`resamples.auc_difference`).
"""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from covid_study.networks.resnet3d import build

TARGETS = {"covid": "COVID-19 against the rest", "cap": "CAP against non-pneumonia"}


def asked(findings, target: str) -> np.ndarray:
    """The exams that the question about `target` is put to: bool (n,).

    Choice: whether an exam is CAP is asked of those only whose cause is known, for `other` may hold CAP; of all negatives
    where none is known, which then have no answer.

    >>> asked(["covid", "cap", "non_pneumonia", "other"], "cap").tolist(), asked(["covid", "other"], "cap").tolist()
    ([False, True, True, False], [False, True])
    """
    findings = np.asarray(findings, dtype=object)
    if target == "covid":
        return np.ones(len(findings), bool)
    known = np.isin(findings, ["cap", "non_pneumonia"])
    return known if known.any() else findings != "covid"


def untrained_encoder(network: dict, seed: int) -> nn.Module:
    """The encoder with the weights that `train.train_pretext` starts from at this seed: its epoch 0.

    Args:
        network: the section of the parameters (width, stem_stride, depth).

    >>> a, b = (untrained_encoder({"width": 0.125, "stem_stride": 2, "depth": 18}, seed=1) for _ in range(2))
    >>> all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters()))
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(network)[0]


def probe_scores(values: np.ndarray, target: np.ndarray, patients: np.ndarray, folds: int = 5) -> np.ndarray:
    """Score of each exam by a logistic regression that has not seen its patient; larger means `target`.

    Choice: standardised features, L2 penalty of 0.01, five folds by patient.

    Args:
        values: (n, D) features. target: bool (n,). patients: (n,), groups that stay together.

    Returns:
        float64 (n,), all NaN where a class has fewer than two patients.

    >>> x = np.arange(8.0)[:, None]
    >>> s = probe_scores(x, x[:, 0] > 3, np.arange(8), folds=2)
    >>> bool(s[4:].min() > s[:4].max())
    True
    """
    smallest = min((len(set(patients[target == side])) for side in (True, False)), default=0)
    folds = min(folds, smallest)
    if folds < 2:
        return np.full(len(target), np.nan)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=200))
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    return cross_val_predict(model, values, target, groups=patients, cv=split, method="decision_function")
