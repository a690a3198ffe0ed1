"""What is ill in a synthetic exam: the lesions of each kind of case, drawn in patient mm before anything is sampled.

Paper A, section III: COVID-19, community acquired pneumonia (CAP), and non-pneumonia (no lung disease, or nodules).
"""

import numpy as np

from covid_study.phantom.patient import Anatomy
from covid_study.phantom.raster import GROUND_GLASS, HOLE, LOBAR, PARENCHYMA, PAVING, SOLID

# The one calibration number: how far the ground glass of COVID-19 and of its mimics departs from normal lung.
LESION_CONTRAST = 1.0
KINDS = {  # finding -> kind of case -> share
    "covid": {"typical": 0.90, "early": 0.10},
    "cap": {"lobar": 0.72, "mimic": 0.28},
    "non_pneumonia": {"clean": 0.45, "nodules": 0.37, "emphysema": 0.18},
}


def kind_of(finding: str, place: float) -> str:
    """The kind of case at a place between 0 and 1 along the shares of its finding.

    Choice: a tenth of COVID-19 is early with almost nothing to see, 28 % of CAP is bilateral ground glass like COVID-19.

    >>> kind_of("cap", 0.7), kind_of("cap", 0.75)
    ('lobar', 'mimic')
    """
    kinds, shares = zip(*KINDS[finding].items(), strict=True)
    return kinds[min(int(np.searchsorted(np.cumsum(shares), place, side="right")), len(kinds) - 1)]


def _normal(anatomy: Anatomy, point):
    """Cosine and sine of the outward direction at a point, within the axial plane."""
    side = np.sign(point[0]) * 0.42 * anatomy.half_width
    out = np.array([point[0] - side, point[1] * 1.1])
    out += np.array([np.sign(point[0]) * 8, 0])
    return out / max(np.hypot(*out), 1e-6)


def _row(anatomy, point, size, opacity, hu, edge, rough, pattern, lobe=-1):
    """One lesion; size: half axes in mm, outwards, along the pleura, in z."""
    co, si = _normal(anatomy, point)
    return [*point, *size, co, si, opacity, hu, edge, rough, pattern, lobe]


def _pick(rng, anatomy, weight):
    """One sampled lung point, drawn by weight, moved a little."""
    n = min(int(np.searchsorted(np.cumsum(weight), rng.random() * weight.sum())), len(weight) - 1)
    return anatomy.points[n] + rng.uniform(-3, 3, 3)


def _glass(rng, contrast, low=200.0, high=425.0):
    """HU of ground glass: never denser than soft tissue."""
    return min(PARENCHYMA + contrast * rng.uniform(low, high), 20.0)


def ground_glass(anatomy, rng, load, peripheral, basal, contrast):
    """Bilateral patches of ground glass: round ones (dense over 14 to 28 mm), subpleural bands, larger confluent ones.

    load: 0 to 1, how much; peripheral, basal: how strongly they keep to the pleura and to the lower lobes.
    """
    low = 1 - anatomy.points[:, 2] / anatomy.height
    weight = np.exp(-anatomy.depth / 28.0 * peripheral + basal * 2.6 * low + 0.5 * (anatomy.points[:, 1] > 0))
    left_share = rng.uniform(0.3, 0.7)
    left = anatomy.points[:, 0] > 0
    for side, share in ((left, left_share), (~left, 1 - left_share)):
        weight[side] *= share / weight[side].sum()
    grow = contrast ** (1 / 3) * (1.0 + 0.35 * load)
    rows = []
    for n in range(int(round(5 + 35 * min(1.0, load * rng.uniform(0.75, 1.25))))):
        # one on each side, whatever else is drawn
        point = _pick(rng, anatomy, weight * (left == bool(n)) if n < 2 else weight)
        shape = rng.random()
        big = 0.22 + 0.30 * load
        if shape < big:
            size = np.array([rng.uniform(15, 27), rng.uniform(28, 52), rng.uniform(24, 44)])
        elif shape < big + 0.25:
            size = np.array([rng.uniform(9, 14), rng.uniform(20, 36), rng.uniform(13, 24)])
        else:
            size = rng.uniform(10, 17) * rng.uniform(0.85, 1.2, 3)
        hu = _glass(rng, contrast)
        pattern = PAVING if rng.random() < 0.22 else GROUND_GLASS
        edge, rough = rng.uniform(0.35, 0.7), rng.uniform(0.35, 0.7)
        rows.append(_row(anatomy, point, size * grow, 0.9, hu, edge, rough, pattern))
        if rng.random() < 0.12 + 0.22 * load:  # part of it has consolidated
            core = point + rng.uniform(-4, 4, 3)
            dense = min(hu + contrast * rng.uniform(250, 520), 20.0)
            inner = size * grow * rng.uniform(0.35, 0.6)
            rows.append(_row(anatomy, core, inner, 0.95, dense, 0.45, 0.6, GROUND_GLASS))
    return rows


def _typical(anatomy, rng, contrast):
    load = 0.2 + 0.8 * rng.beta(1.5, 1.9)
    return ground_glass(anatomy, rng, load, rng.uniform(0.9, 2.4), rng.uniform(0.5, 1.5), contrast)


def _early(anatomy, rng, contrast):
    weight, rows = np.exp(-anatomy.depth / 14.0 - 2.0 * anatomy.points[:, 2] / anatomy.height), []
    for _ in range(rng.integers(2, 6)):
        point = _pick(rng, anatomy, weight)
        size = rng.uniform(8, 13) * rng.uniform(0.85, 1.2, 3) * contrast ** (1 / 3)
        rows.append(_row(anatomy, point, size, 0.85, _glass(rng, contrast, 120, 240), 0.6, 0.5, GROUND_GLASS))
    return rows


def _mimic(anatomy, rng, contrast):
    load = rng.beta(1.4, 2.4)
    return ground_glass(anatomy, rng, load, rng.uniform(-0.4, 0.9), rng.uniform(-0.5, 0.7), contrast)


def _lobar(anatomy, rng, contrast):
    sizes, rows = np.bincount(anatomy.lobe, minlength=5) * np.array([1.5, 1.0, 1.0, 1.4, 0.8]), []
    for lobe in rng.choice(5, 1 + (rng.random() < 0.28), replace=False, p=sizes / sizes.sum()):
        point = _pick(rng, anatomy, (anatomy.lobe == lobe) * np.exp(-anatomy.depth / 60.0))
        size = rng.uniform(16, 58) * rng.uniform(0.8, 1.25, 3)
        wide, halo = size * rng.uniform(1.15, 1.4), PARENCHYMA + rng.uniform(150, 330)
        rows.append(_row(anatomy, point, wide, 0.85, halo, 0.5, 0.5, LOBAR, lobe))
        hu, edge = rng.uniform(-40, 45), rng.uniform(0.12, 0.3)
        rows.append(_row(anatomy, point, size, 1.0, hu, edge, 0.45, LOBAR, lobe))
        for _ in range(rng.integers(0, 7)):  # patches around it
            near = np.exp(-np.sum((anatomy.points - point) ** 2, 1) / (2 * 38.0**2))
            spot = _pick(rng, anatomy, (anatomy.lobe == lobe) * near)
            small = rng.uniform(4, 11) * rng.uniform(0.85, 1.2, 3)
            rows.append(_row(anatomy, spot, small, 0.9, rng.uniform(-500, -100), 0.4, 0.4, GROUND_GLASS))
    return rows


def _nodules(anatomy, rng, contrast):
    rows = []
    for _ in range(1 + min(rng.poisson(1.6), 9)):
        point = _pick(rng, anatomy, (anatomy.depth > 3) * 1.0)
        radius = np.clip(rng.lognormal(np.log(4.5), 0.45), 2, 10)
        size = radius * rng.uniform(0.9, 1.1, 3)
        rows.append(_row(anatomy, point, size, 1.0, rng.uniform(-20, 60), 0.18, 0.15, SOLID))
    return rows


def _emphysema(anatomy, rng, contrast):
    severity, rows = rng.uniform(0.2, 1), []
    weight = np.exp(3.0 * anatomy.points[:, 2] / anatomy.height)
    for _ in range(int(40 + 160 * severity)):
        point = _pick(rng, anatomy, weight)
        radius = rng.uniform(3, 6 + 7 * severity)
        rows.append(_row(anatomy, point, radius * rng.uniform(0.8, 1.2, 3), 0.9, -985.0, 0.35, 0.35, HOLE))
    return rows


DRAWN = {
    "typical": _typical,
    "early": _early,
    "mimic": _mimic,
    "lobar": _lobar,
    "nodules": _nodules,
    "emphysema": _emphysema,
}


def draw_lesions(anatomy: Anatomy, kind: str, rng: np.random.Generator) -> np.ndarray:
    """All lesions of one exam: (n, 14) rows for `raster.paint_lesions`, patient mm.

    Choice: distribution, size and density follow the radiological descriptions that paper A cites, not measured frequencies.
    HU and size of ground glass rise with LESION_CONTRAST.

    >>> from covid_study.phantom.patient import build
    >>> patient = build(np.random.default_rng(0))
    >>> draw_lesions(patient, "clean", np.random.default_rng(1)).shape
    (0, 14)
    """
    rows = DRAWN[kind](anatomy, rng, LESION_CONTRAST) if kind in DRAWN else []
    return np.array(rows, dtype=np.float64).reshape(-1, 14)
