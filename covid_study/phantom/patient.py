"""One synthetic patient in mm: contours, lungs and what lies around them, the same at each of the patient's exams.

Axes: x to the patient's left, y to the back, z to the head; the origin lies on the midline, half way between breastbone and
back of the ribcage, at the deepest point of the lungs.
"""

from dataclasses import dataclass

import numpy as np

from covid_study.phantom import organs as organs_of
from covid_study.phantom.raster import lobes
from covid_study.phantom.vessels import vessels_and_bronchi

N_ANGLES = 256  # cells of the polar contour tables; 0 looks forward, a quarter turn to the patient's left
Z_STEP, Y_STEP = 4.0, 3.0  # mm between rows of the contour tables
_T = np.array(
    [-0.4, 0.0, 0.15, 0.35, 0.5, 0.65, 0.75, 0.85, 0.93, 1.0, 1.15]
)  # heights where profiles are given
_WIDTH = np.array([0.93, 0.99, 1.0, 0.985, 0.95, 0.88, 0.81, 0.70, 0.59, 0.48, 0.38])
_FRONT = np.array([0.92, 0.98, 1.0, 1.0, 0.97, 0.88, 0.78, 0.63, 0.50, 0.40, 0.30])
_BACK = np.array([0.90, 0.97, 1.0, 1.0, 0.98, 0.94, 0.90, 0.84, 0.78, 0.72, 0.62])


@dataclass(frozen=True)
class Anatomy:
    """Geometry of one patient, patient mm. Tables have a row every Z_STEP mm from z0."""

    half_width: float
    half_depth: float
    height: float
    z0: float
    cage: np.ndarray  # (z, angle + 1) radius of the pleural surface
    muscle: np.ndarray
    body: np.ndarray
    right_edge: np.ndarray  # (z, y) x of the mediastinum's right and left surface
    left_edge: np.ndarray
    edge_y0: float
    spine: np.ndarray  # see raster.paint_skeleton
    sternum: np.ndarray
    drop: np.ndarray  # (angle + 1) mm by which the ribs hang lower than at the spine
    rib_kind: np.ndarray  # (angle) 0 none, 1 cartilage, 2 bone
    rib_gap: float
    domes: tuple[float, float, float]  # right and left diaphragm height, mm it falls towards the chest wall
    inner_tubes: np.ndarray  # vessels of the lungs, then bronchi
    outer_tubes: (
        np.ndarray
    )  # what lies outside the lungs: nodes, great vessels, airways, bones of the chest wall
    organs: np.ndarray  # ellipsoids of mediastinum
    belly: np.ndarray  # ellipsoids of abdomen
    points: np.ndarray  # (n, 3) a sample of the lungs, 7 mm apart
    depth: np.ndarray  # (n,) mm from the pleura of chest wall or diaphragm
    lobe: np.ndarray  # (n,) see raster.lobe_of
    fat_hu: float
    liver_hu: float


def diaphragm(x, y, half_width: float, half_depth: float, domes):
    """Height of the diaphragm over (x, y): two domes that fall steeply towards the ribs, most at the back."""
    right, left, fall = domes
    side = 0.5 + 0.5 * np.tanh(x / 18)
    u = (np.abs(x) - 0.40 * half_width) / (0.62 * half_width)
    v = (y + 0.38 * half_depth) / (1.05 * half_depth)
    rho = u * u + v * v
    slope = rho * (0.45 + 0.55 * np.sqrt(rho))
    return right + (left - right) * side - fall * slope


def apex(x, y, half_width: float, half_depth: float, height: float):
    """Height of the top of the lungs over (x, y): a dome a side, further back than the middle."""
    u = (np.abs(x) - 0.33 * half_width) / (0.42 * half_width)
    v = (y - 0.18 * half_depth) / (0.62 * half_depth)
    return height * (1 - 0.16 * (u * u + v * v))


def _contours(rng, z, half_width, half_depth, height, fat, female, muscular):
    t = z[:, None] / height
    angle = np.linspace(0, 2 * np.pi, N_ANGLES + 1)[None]
    sine, cosine = np.sin(angle), np.cos(angle)

    def profile(values):
        return np.interp(t, _T, values)

    def ring(width, front, back, power):
        depth = np.where(cosine > 0, front, back)
        return ((np.abs(sine) / width) ** power + (np.abs(cosine) / depth) ** power) ** (-1 / power)

    def bump(degrees, spread, centre, tall):
        at = np.deg2rad(degrees)
        near = np.abs((np.abs((angle + np.pi) % (2 * np.pi) - np.pi)) - at)
        return np.exp(-((near / np.deg2rad(spread)) ** 2)) * np.exp(-(((t - centre) / tall) ** 2))

    power = rng.uniform(2.25, 2.6) + 0.5 * (cosine < 0)
    cage = ring(
        half_width * profile(_WIDTH), half_depth * profile(_FRONT), half_depth * profile(_BACK), power
    )
    wobble = sum(rng.normal(0, 0.010 / k) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in (2, 3, 4))
    cage = cage * (1 + wobble)
    shoulder = 1 / (1 + np.exp(-(t - 0.80) / 0.06))
    narrow = np.clip(1 - profile(_WIDTH), 0, 1)
    flesh = 10.5 + muscular * (
        13 * bump(38, 20, 0.74, 0.20)
        + 25 * bump(128, 24, 0.78, 0.34)
        + 9 * bump(115, 26, 0.35, 0.35)
        + 24 * bump(162, 17, 0.4, 1.2)
        + 7 * bump(180, 10, 0.4, 1.2)
        + 6 * bump(20, 14, 0.05, 0.2)
        + shoulder * 10
    )
    flesh = flesh + shoulder * (
        sine**2 * (half_width * narrow * 1.1 + 30) + cosine**2 * 0.1 * half_depth * narrow
    )
    muscle = cage + flesh
    layer = fat * (0.75 + 0.35 * np.abs(sine) + 0.25 * (cosine > 0) * (t < 0.3) * cosine)
    breasts = (
        rng.uniform(14, 34) * (0.4 + fat / 20) * bump(42, 17, rng.uniform(0.36, 0.46), 0.16) if female else 0
    )
    body = muscle + 3 + layer + breasts
    # the skin is smoother than what lies under it
    kernel = np.hanning(25)
    kernel /= kernel.sum()
    padded = np.concatenate([body[:, -13:-1], body[:, :-1], body[:, :12]], axis=1)
    smooth = np.stack([np.convolve(row, kernel, "valid") for row in padded])
    smooth = np.concatenate([smooth, smooth[:, :1]], axis=1)
    return cage, muscle, np.maximum(smooth, muscle + 3.5)


def build(rng: np.random.Generator) -> Anatomy:
    """Draw one patient.

    Choice: sizes are drawn around those of an adult in full inspiration: lungs of 2.5 to 7 l, the left one smaller.

    >>> patient = build(np.random.default_rng(0))
    >>> bool(np.all(patient.body > patient.muscle)), patient.inner_tubes.shape[1]
    (True, 9)
    """
    female = rng.random() < 0.45
    a = float(np.clip(rng.normal(124 if female else 137, 7), 108, 152))
    b = a * rng.uniform(0.64, 0.74)
    height = float(np.clip(rng.normal(250 if female else 276, 13), 226, 304))
    fat = float(np.clip(rng.gamma(4, 4.2 if female else 3.2), 4, 42))
    muscular = rng.uniform(0.75, 1.0) * (0.85 if female else 1.1)
    z = np.arange(-100.0, height + 70, Z_STEP)
    cage, muscle, body = _contours(rng, z, a, b, height, fat, female, muscular)
    dome = height * rng.uniform(0.27, 0.37)
    domes = (dome, dome - rng.uniform(4, 18), dome * rng.uniform(0.56, 0.70))

    # the spine bends gently backwards and widens further down
    t = z / height
    spine_y = np.interp(t, _T, b * (0.50 * _BACK + 0.02)) + rng.uniform(-3, 3) - 3 * np.cos(3 * (t - 0.4))
    spine_size = (16.5 - 4.0 * np.clip(t, -0.3, 1.2)) * (a / 126)
    spine = np.column_stack([spine_y, spine_size, np.full_like(z, z[0])])
    spine[1, 2] = Z_STEP
    breast_bone = np.where((t > 0.40) & (t < 0.90), 15 + 9 * np.clip((t - 0.74) / 0.1, 0, 1), 0.0)
    sternum = np.column_stack([-cage[:, 0] - 6, breast_bone])

    frame = organs_of.Frame(a, b, height, domes, z, cage, spine_y, spine_size, fat)
    walls, lumens, forks = organs_of.airways(frame, rng)
    heart = np.array([rng.uniform(6, 20), -0.37 * b + rng.uniform(-4, 4), dome - rng.uniform(0, 10)])
    tubes = organs_of.great_vessels(frame, rng, heart, forks)
    chambers, pads = organs_of.heart_chambers(frame, rng, heart)
    nodes = organs_of.lymph_nodes(rng, forks[0])
    y = np.arange(-140.0, 141, Y_STEP)
    right, left = organs_of.mediastinum(frame, rng, y, tubes, walls, pads)

    # ribs start level at the spine and hang about 90 mm lower at the side, with cartilage beside the breastbone
    from_spine = np.abs(np.linspace(-1, 1, N_ANGLES + 1))
    gap = height * rng.uniform(0.095, 0.108)
    drop = (
        gap
        * rng.uniform(3.0, 3.9)
        * np.interp(from_spine, [0, 0.08, 0.75, 0.9, 1], [0.05, 0.0, 1.0, 0.95, 0.6])
    )
    rib_kind = np.select([from_spine > 0.955, from_spine > 0.80, from_spine > 0.05], [0, 1, 2], 0)[:-1]
    bones = organs_of.shoulder_girdle(frame), organs_of.rib_necks(frame, gap)
    belly = organs_of.abdomen(frame, rng)

    points, depth = _sample_lungs(rng, frame, right, left, y[0])
    inner = vessels_and_bronchi(rng, points, depth, forks[1:], heart[2] + 64)
    return Anatomy(
        half_width=a, half_depth=b, height=height, z0=float(z[0]), cage=cage, muscle=muscle, body=body, right_edge=right,
        left_edge=left, edge_y0=float(y[0]), spine=spine, sternum=sternum, drop=drop, rib_kind=rib_kind, rib_gap=gap,
        domes=domes, inner_tubes=inner, outer_tubes=np.concatenate([nodes, tubes, walls, lumens, *bones]), organs=chambers,
        belly=belly, points=points, depth=depth, lobe=lobes(points, b, height), fat_hu=rng.uniform(-112, -94),
        liver_hu=rng.uniform(48, 66),
    )  # fmt: skip


def _sample_lungs(rng, f, right, left, y0):
    """Points inside the lungs on a jittered grid 7 mm apart (n, 3), and their depth under the pleura (n,), mm."""
    axes = np.arange(-f.a, f.a, 7), np.arange(-1.05 * f.b, 1.05 * f.b, 7), np.arange(-45, f.height, 7)
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    points = grid + rng.uniform(-3, 3, grid.shape)
    x, y, z = points.T
    row = np.clip((z - f.z[0]) / Z_STEP, 0, len(f.z) - 1).astype(int)
    turn = (np.arctan2(x, -y) / (2 * np.pi) * N_ANGLES % N_ANGLES).astype(int)
    column = np.clip((y - y0) / Y_STEP, 0, right.shape[1] - 1).astype(int)
    wall = f.cage[row, turn] - np.hypot(x, y)
    base = z - diaphragm(x, y, f.a, f.b, f.domes)
    top = apex(x, y, f.a, f.b, f.height) - z
    side = np.maximum(right[row, column] - x, x - left[row, column])
    depth = np.minimum(np.minimum(wall, 0.8 * base), top)
    keep = np.minimum(depth, side) > 1
    return np.ascontiguousarray(points[keep]), depth[keep]
