"""One synthetic patient in mm: contours, organs, vessel tree and airways, the same at each of the patient's exams.

Axes: x to the patient's left, y to the back, z to the head; the origin lies on the midline, half way between breastbone and
back of the ribcage, at the deepest point of the lungs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from covid_study import phantom_raster as raster

N_ANGLES = 256  # cells of the polar contour tables; 0 looks forward, a quarter turn to the patient's left
Z_STEP, Y_STEP = 4.0, 3.0  # mm between rows of the contour tables
_T = np.array([-0.4, 0.0, 0.15, 0.35, 0.5, 0.65, 0.75, 0.85, 0.93, 1.0, 1.15])  # heights where profiles are given
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
    vessels: np.ndarray  # tubes inside the lungs
    bronchi: np.ndarray
    central: np.ndarray  # tubes outside the lungs
    organs: np.ndarray  # ellipsoids of mediastinum
    belly: np.ndarray  # ellipsoids of abdomen
    bones: np.ndarray  # tubes in the chest wall
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
    cage = ring(half_width * profile(_WIDTH), half_depth * profile(_FRONT), half_depth * profile(_BACK), power)
    wobble = sum(rng.normal(0, 0.010 / k) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in (2, 3, 4))
    cage = cage * (1 + wobble)
    shoulder = 1 / (1 + np.exp(-(t - 0.80) / 0.06))
    narrow = np.clip(1 - profile(_WIDTH), 0, 1)
    flesh = 10.5 + muscular * (
        13 * bump(38, 20, 0.74, 0.20) + 25 * bump(128, 24, 0.78, 0.34) + 9 * bump(115, 26, 0.35, 0.35)
        + 24 * bump(162, 17, 0.4, 1.2) + 7 * bump(180, 10, 0.4, 1.2) + 6 * bump(20, 14, 0.05, 0.2) + shoulder * 10)
    flesh = flesh + shoulder * (sine**2 * (half_width * narrow * 1.1 + 30) + cosine**2 * 0.1 * half_depth * narrow)
    muscle = cage + flesh
    layer = fat * (0.75 + 0.35 * np.abs(sine) + 0.25 * (cosine > 0) * (t < 0.3) * cosine)
    breasts = rng.uniform(14, 34) * (0.4 + fat / 20) * bump(42, 17, rng.uniform(0.36, 0.46), 0.16) if female else 0
    body = muscle + 3 + layer + breasts
    # the skin is smoother than what lies under it
    kernel = np.hanning(25)
    kernel /= kernel.sum()
    padded = np.concatenate([body[:, -13:-1], body[:, :-1], body[:, :12]], axis=1)
    smooth = np.stack([np.convolve(row, kernel, "valid") for row in padded])
    smooth = np.concatenate([smooth, smooth[:, :1]], axis=1)
    return cage, muscle, np.maximum(smooth, muscle + 3.5)


def _line(points, radii, value):
    """Rows of tubes along a polyline."""
    p, r = np.asarray(points, float), np.broadcast_to(radii, len(points)).astype(float)
    return np.column_stack([p[:-1], r[:-1], p[1:], r[1:], np.full(len(p) - 1, value)])


def _beads(tubes, margin):
    """Spheres along tubes (about 3 mm apart), as rows for `raster.hull`."""
    rows = []
    for x0, y0, z0, r0, x1, y1, z1, r1, _ in tubes:
        n = max(2, int(np.hypot(np.hypot(x1 - x0, y1 - y0), z1 - z0) / 3) + 1)
        h = np.linspace(0, 1, n)[:, None]
        p = np.array([x0, y0, z0]) * (1 - h) + np.array([x1, y1, z1]) * h
        r = (r0 * (1 - h) + r1 * h + margin).repeat(3, 1)
        rows.append(np.hstack([p, r]))
    return np.concatenate(rows)


def _tree(rng, targets, root, path_weight, tip, power):
    """Tubes (without HU), leaves beyond each, from a root to all targets; radii follow Murray's law."""
    parent, order = raster.grow_tree(targets, np.asarray(root, float), path_weight)
    leaves = np.ones(len(targets))
    children = np.bincount(parent[parent >= 0], minlength=len(targets))
    leaves[children > 0] = 0
    for m in order[::-1]:
        if parent[m] >= 0:
            leaves[parent[m]] += leaves[m]
    at = targets.copy()
    first = parent < 0
    before = np.where(first[:, None], root, targets[parent])
    heir = np.arange(len(targets))
    heir[parent[order[::-1]]] = order[::-1]  # any child: only to smooth
    at = 0.5 * targets + 0.3 * before + 0.2 * targets[heir]
    before = np.where(first[:, None], root, at[parent])
    radius = tip * leaves ** (1 / power)
    start = np.where(first, radius, np.minimum(radius * 1.25, radius[parent]))
    return np.column_stack([before, start, at, radius]), leaves


def build(rng: np.random.Generator) -> Anatomy:
    """Draw one patient.

    The organs and their sizes follow textbook anatomy of the adult chest in full inspiration.

    >>> patient = build(np.random.default_rng(0))
    >>> bool(np.all(patient.body > patient.muscle)), patient.vessels.shape[1]
    (True, 9)
    """
    female = rng.random() < 0.45
    a = float(np.clip(rng.normal(124 if female else 137, 7), 108, 152))
    b = a * rng.uniform(0.64, 0.74)
    height = float(np.clip(rng.normal(250 if female else 276, 13), 226, 304))
    fat = float(np.clip(rng.gamma(4, 4.2 if female else 3.2), 4, 42))
    muscular = rng.uniform(0.75, 1.0) * (0.85 if female else 1.1)
    z0 = -100.0
    z = np.arange(z0, height + 70, Z_STEP)
    cage, muscle, body = _contours(rng, z, a, b, height, fat, female, muscular)
    dome = height * rng.uniform(0.27, 0.37)
    domes = (dome, dome - rng.uniform(4, 18), dome * rng.uniform(0.56, 0.70))

    # spine: a gentle kyphosis; wider further down
    t = z / height
    spine_y = np.interp(t, _T, b * (0.50 * _BACK + 0.02)) + rng.uniform(-3, 3) - 3 * np.cos(3 * (t - 0.4))
    spine_size = (16.5 - 4.0 * np.clip(t, -0.3, 1.2)) * (a / 126)
    spine = np.column_stack([spine_y, spine_size, np.full_like(z, z0)])
    spine[1, 2] = Z_STEP
    sternum_y = -cage[:, 0] - 6
    sternum_w = np.where((t > 0.40) & (t < 0.90), 15 + 9 * np.clip((t - 0.74) / 0.1, 0, 1), 0.0)
    sternum = np.column_stack([sternum_y, sternum_w])

    def back(zz):
        return float(np.interp(zz, z, spine_y))

    def front(zz):
        return float(np.interp(zz, z, -cage[:, 0]))

    # airways and great vessels
    carina = height * rng.uniform(0.63, 0.67)
    tx = rng.uniform(-2, 5)
    bend = rng.uniform(-4, 4)
    deep = back(carina) - 30
    windpipe = _line([(tx * 0.3, back(height) - 26, height + 60), (tx + bend, back(height * 0.85) - 26, height * 0.85),
                      (tx, deep, carina)], rng.uniform(7.2, 9.4), -985.0)
    split = np.array([tx, deep, carina])
    right_end = split + (-31, 9, -24)
    left_end = split + (42, 14, -29)
    mains = np.concatenate([_line([split, right_end], [7.6, 6.2], -985.0), _line([split, left_end], [7.0, 5.4], -985.0),
                            _line([right_end, right_end + (-9, 6, -22)], [5.0, 3.8], -975.0),
                            _line([right_end + (6, -2, 6), right_end + (-16, -4, 6)], [4.2, 3.2], -975.0),
                            _line([left_end, left_end + (7, 8, -22)], [4.6, 3.4], -975.0),
                            _line([left_end, left_end + (12, -8, 4)], [3.8, 3.0], -975.0)])
    wall = mains.copy()
    wall[:, [3, 7]] += 1.6
    wall[:, 8] = 25.0
    ring = windpipe.copy()
    ring[:, [3, 7]] += 1.8
    ring[:, 8] = 60.0
    heart_x, heart_y = rng.uniform(6, 20), -0.37 * b + rng.uniform(-4, 4)
    size = rng.uniform(0.88, 1.12) * a / 126
    hz = dome - rng.uniform(0, 10)
    blood = rng.uniform(34, 46)
    arch = carina + 34
    r_aorta = rng.uniform(12.5, 16.5)
    aorta_side = rng.uniform(18, 24)
    aorta = _line([(heart_x - 14, heart_y - 2, hz + 62), (-17, heart_y - 4, carina + 8), (-9, heart_y + 6, arch - 3),
                   (9, back(arch) - 42, arch + 2), (aorta_side, back(arch) - 22, arch - 8),
                   (aorta_side + 2, back(carina) - 10, carina - 12), (aorta_side - 2, back(hz) - 14, hz),
                   (6, back(0) - 26, -60), (4, back(z0) - 26, z0)],
                  np.array([1.12, 1.12, 1.0, 0.95, 0.9, 0.86, 0.8, 0.74, 0.7]) * r_aorta, blood)
    cava = _line([(-32, heart_y + 6, hz + 55), (-30, heart_y + 4, carina + 10), (-26, heart_y + 2, arch + 25)], 9.0, blood - 2)
    lung_artery = np.concatenate([
        _line([(heart_x + 6, heart_y - 10, hz + 55), (20, heart_y + 6, carina - 14), (36, deep + 4, carina - 10), left_end + (6, -6, 8)],
              [14, 13.5, 11, 8.5], blood),
        _line([(18, heart_y + 10, carina - 18), (-12, deep - 14, carina - 24), right_end + (-6, -10, -2)], [11.5, 10.5, 9], blood)])
    lung_vein = np.concatenate([_line([(0, deep - 4, hz + 66), (-36, deep + 2, hz + 62), (-46, deep + 4, hz + 66)], [9, 6.5, 5.5], blood),
                                _line([(8, deep - 4, hz + 66), (42, deep + 4, hz + 60), (52, deep + 2, hz + 64)], [9, 6.5, 5.5], blood)])
    gullet = _line([(4, back(height) - 20, height + 50), (5, deep + 13, carina + 5), (9, back(hz) - 24, hz + 10), (14, back(hz) - 34, hz - 30)],
                   [7, 7, 8, 8], 36.0)
    neck = np.concatenate([
        _line([(-8, heart_y + 4, arch), (-20, back(height) - 38, height * 0.98), (-26, back(height) - 40, height + 60)], [7, 6, 5], blood),
        _line([(5, heart_y + 14, arch), (16, back(height) - 34, height), (24, back(height) - 34, height + 60)], [5, 4.5, 4], blood),
        _line([(16, back(arch) - 32, arch), (27, back(height) - 24, height * 0.97), (60, back(height) - 40, height + 12)], [6, 5.5, 5], blood),
        _line([(-25, heart_y, arch + 12), (12, heart_y - 4, arch + 18), (28, back(height) - 48, height + 10)], [8, 7.5, 6], blood - 2),
        _line([(-26, heart_y + 2, arch + 24), (-32, back(height) - 46, height + 20)], [8, 7], blood - 2)])
    nodes = np.concatenate([_line([p, np.asarray(p) + (0, 1, 3)], rng.uniform(1.5, 4.5), 38.0) for p in
                            [split + (rng.uniform(-22, 22), rng.uniform(-22, 4), rng.uniform(-20, 40)) for _ in range(9)]])
    solid = np.concatenate([neck, gullet, cava, aorta, lung_artery, lung_vein])
    central = np.concatenate([nodes, solid, ring, wall, windpipe, mains])
    heart = np.array([  # cx, cy, cz, rx, ry, rz, HU: left and right ventricle, right and left atrium
        (heart_x + 2, heart_y, hz + 30, 30, 26, 34, blood), (heart_x + 32, heart_y + 3, hz + 24, 38, 37, 37, 46.0), (heart_x - 2, heart_y - 17, hz + 24, 42, 26, 38, blood),
        (heart_x - 27, heart_y + 2, hz + 36, 23, 29, 36, blood), (heart_x - 8, heart_y + 30, hz + 56, 36, 19, 25, blood)])
    heart[:, :6] = (heart[:, :6] - (heart_x, heart_y, hz, 0, 0, 0)) * size + (heart_x, heart_y, hz, 0, 0, 0)
    sack = np.column_stack([heart[:, :3], heart[:, 3:6] + rng.uniform(0.8, 2.2) + fat / 14])
    crown = np.array([[heart_x - 6, heart_y + 4, hz + 58, 34, 30, 40]]) * 1.0
    pad = np.array([[heart_x + 36, heart_y - 16, hz + 2, 22, 24, 22], [heart_x - 34, heart_y - 18, hz + 4, 20, 22, 18]])
    pad[:, 3:] *= 0.7 + fat / 40

    # the mediastinum's outline: a thin partition in front, spine at the back, all of the above in between
    y0 = -140.0
    y = np.arange(y0, 141, Y_STEP)
    thin = np.interp(y / b, [-1.2, -0.85, -0.6, -0.3, 0.1, 0.5, 1.0], [12, 6, 4.5, 8, 13, 14, 14])
    thin = thin[None] + np.interp(t, [0.2, 0.5], [1, 0])[:, None] * np.interp(y / b, [-1.0, -0.5, -0.1], [9, 24, 0])[None]
    middle = np.interp(y / b, [-1.0, 0.0, 0.6], [rng.uniform(-3, 3), 2, 0])
    top = np.interp(t, [0.75, 0.95, 1.1], [0, 10, 16])[:, None]
    right, left = middle[None] - thin - top, middle[None] + thin + top
    at = y[None] - spine_y[:, None]
    w = spine_size[:, None] * 1.10 + 2
    flank = np.where(at < 0, np.sqrt(np.clip(1 - (at / (w * 0.95)) ** 2, 0, 1)) * w, w + np.clip(0.85 * at - 6, 0, 60))
    right, left = np.minimum(right, -flank), np.maximum(left, flank)
    blobs = np.concatenate([_beads(np.concatenate([solid, ring]), 3.0), _beads(wall, 1.0), sack, crown, pad])
    raster.hull(right, left, y0, Y_STEP, z0, Z_STEP, np.ascontiguousarray(blobs, dtype=float))
    soft = np.array([0.25, 0.5, 0.25])
    for edge in (right, left) * 3:
        edge[:, 1:-1] = edge[:, :-2] * soft[0] + edge[:, 1:-1] * soft[1] + edge[:, 2:] * soft[2]
        edge[1:-1] = edge[:-2] * soft[0] + edge[1:-1] * soft[1] + edge[2:] * soft[2]

    # ribs: level at the spine, about 100 mm lower at the side and front, cartilage beside the breastbone
    angle = np.linspace(0, 2 * np.pi, N_ANGLES + 1)
    from_spine = np.abs(angle - np.pi) / np.pi
    gap = height * rng.uniform(0.095, 0.108)
    drop = gap * rng.uniform(3.0, 3.9) * np.interp(from_spine, [0, 0.08, 0.75, 0.9, 1], [0.05, 0.0, 1.0, 0.95, 0.6])
    kind = np.select([from_spine > 0.955, from_spine > 0.80, from_spine > 0.05], [0, 1, 2], 0)
    shoulder = {s: (s * (a + 48), b * 0.10, height * 1.04) for s in (-1, 1)}
    bones = []
    for s in (-1, 1):
        top_z = height * 0.90
        clavicle = [(s * 20, front(top_z) - 4, top_z), (s * 62, front(top_z) - 8, height * 0.97), (s * (a + 18), -0.1 * b, height * 1.05)]
        bones += [_line(clavicle, [8, 6, 6.5], 620.0), _line(clavicle, [5, 3.2, 4], 220.0)]
        bones += [_line([shoulder[s], np.add(shoulder[s], (s * 10, -5, 60))], [23, 15], 560.0),
                  _line([shoulder[s], np.add(shoulder[s], (s * 10, -5, 60))], [20, 11], 190.0)]
        blade = [(s * a * 0.98, b * 0.55, height * 1.0), (s * a * 0.80, b * 1.12, height * 0.86), (s * a * 0.86, b * 1.10, height * 0.60)]
        sheet = [_line([np.add(blade[0], (0, 0, -dz)), np.add(blade[1], (0, 0, -dz))], [5.2 - 0.045 * dz, 2.6], 520.0) for dz in range(-14, 46, 5)]
        sheet += [_line([blade[1], blade[2]], [4.4, 3.0], 560.0)]
        tip = [np.add(blade[0], (0, 0, -46)), blade[2]]
        sheet += [_line([np.add(tip[0], h * (np.subtract(tip[1], tip[0]))), np.add(blade[1], h * np.subtract(blade[2], blade[1]))], [4.2, 2.6], 520.0)
                  for h in np.linspace(0, 1, 9)]
        bones += sheet

    for level in np.arange(-1.5, 9.6) * gap:
        zz, s0 = level, np.interp(level, z, spine_size)
        if zz < height * 0.97:
            for s in (-1, 1):
                behind = float(np.interp(zz, z, cage[:, N_ANGLES // 2]))
                neck = [(s * s0 * 0.9, back(zz) + 0.6 * s0, zz + 3), (s * (s0 + 16), min(back(zz) + 2.0 * s0, behind), zz),
                        (s * (s0 + 36), behind + 2, zz - 3)]
                bones += [_line(neck, [3.6, 4.2, 4.0], 420.0), _line(neck, [2.0, 2.6, 2.4], 200.0)]

    # abdomen: spleen, stomach with its bubble, left lobe, kidneys, a gut loop now and then
    ld = domes[1]
    sx, sy = a * rng.uniform(0.40, 0.5), -b * 0.18
    belly = [(a * 0.62, b * 0.36, ld - 47, 30, 38, 36, 52.0), (-5, -0.38 * b, dome - 28, 46, 34, 24, 58.0),
             (sx, sy, ld - 34, 46, 46, 30, 34.0), (a * 0.62, -0.05 * b, ld - 60, 26, 36, 34, 38.0)]
    if rng.random() < 0.75:
        belly += [(sx, sy - 16, ld - 28, rng.uniform(14, 32), rng.uniform(9, 17), rng.uniform(9, 17), -990.0)]
    belly += [(s * 52, b * 0.52, -48 + s * 6, 25, 25, 48, 32.0) for s in (-1, 1)]
    for _ in range(rng.integers(0, 5)):
        p, r = (a * rng.uniform(0.25, 0.7), b * rng.uniform(-0.65, 0.1), ld - rng.uniform(52, 110)), rng.uniform(8, 20)
        belly += [(*p, r + 3, r + 3, r + 3, 40.0), (*p, r, r, r * rng.uniform(0.8, 1.2), -960.0)]

    def turned(rows):
        rows = np.asarray(rows, float)
        return np.column_stack([rows[:, :6], np.ones(len(rows)), np.zeros(len(rows)), rows[:, 6]])

    patient = dict(half_width=a, half_depth=b, height=height, z0=z0, cage=cage, muscle=muscle, body=body, right_edge=right,
                   left_edge=left, edge_y0=y0, spine=spine, sternum=sternum, drop=drop, rib_kind=kind[:-1], rib_gap=gap,
                   domes=domes, central=central, organs=turned(heart), belly=turned(belly), bones=np.concatenate(bones),
                   fat_hu=rng.uniform(-112, -94), liver_hu=rng.uniform(48, 66))
    points, depth, lobe = _sample_lungs(rng, patient)
    patient |= dict(points=points, depth=depth, lobe=lobe)
    patient["vessels"], patient["bronchi"] = _grow(rng, points, depth, right_end, left_end, hz)
    return Anatomy(**patient)


def _sample_lungs(rng, p):
    """Points inside the lungs on a jittered grid 7 mm apart, their depth under the pleura (mm) and their lobe."""
    a, b, height, step = p["half_width"], p["half_depth"], p["height"], 7.0
    grid = np.stack(np.meshgrid(np.arange(-a, a, step), np.arange(-1.05 * b, 1.05 * b, step), np.arange(-45, height, step), indexing="ij"), -1)
    q = grid.reshape(-1, 3) + rng.uniform(-3, 3, (grid.size // 3, 3))
    x, y, z = q.T
    row = np.clip((z - p["z0"]) / Z_STEP, 0, len(p["cage"]) - 1).astype(int)
    turn = (np.arctan2(x, -y) / (2 * np.pi) * N_ANGLES % N_ANGLES).astype(int)
    column = np.clip(((y - p["edge_y0"]) / Y_STEP), 0, p["right_edge"].shape[1] - 1).astype(int)
    wall = p["cage"][row, turn] - np.hypot(x, y)
    base = z - diaphragm(x, y, a, b, p["domes"])
    top = apex(x, y, a, b, height) - z
    side = np.maximum(p["right_edge"][row, column] - x, x - p["left_edge"][row, column])
    keep = (wall > 1) & (base > 1) & (top > 1) & (side > 1)
    q, depth = q[keep], np.minimum(np.minimum(wall, 0.8 * base), top)[keep]
    q = np.ascontiguousarray(q)
    return q, depth, raster.lobes(q, b, height)


def _grow(rng, points, depth, right_end, left_end, heart_z):
    """Arteries with bronchi beside them, and veins, for both lungs."""
    vessels, bronchi = [], []
    for side, hilum in ((-1, right_end), (1, left_end)):
        mine = points[(points[:, 0] * side > 0) & (depth > 3)]
        drawn = rng.permutation(len(mine))
        n_art, n_vein = min(1150, len(mine) // 2), min(650, len(mine) // 3)
        jitter = rng.uniform(-2.5, 2.5, (len(mine), 3))
        arteries, leaves = _tree(rng, (mine + jitter)[drawn[:n_art]], hilum + (side * 4, -2, 2), 0.6, 0.46, 2.3)
        veins, _ = _tree(rng, (mine + jitter)[drawn[n_art:n_art + n_vein]], (side * 46, hilum[1] - 4, heart_z + 64), 0.6, 0.46, 2.4)
        vessels += [arteries, veins]
        fat = leaves > 15
        tube, size = arteries[fat].copy(), arteries[fat][:, [3, 7]]
        tube[:, [1, 5]] += 1.55 * size + 0.6
        tube[:, [2, 6]] += 0.6 * size
        for extra, hu in ((0.7, -260.0), (0.0, -965.0)):
            pipe = tube.copy()
            pipe[:, [3, 7]] = 0.68 * size + extra
            bronchi.append(np.column_stack([pipe, np.full(len(pipe), hu)]))
    vessels = np.concatenate(vessels)
    walls, lumens = np.concatenate(bronchi[0::2]), np.concatenate(bronchi[1::2])
    return np.column_stack([vessels, np.full(len(vessels), 36.0)]), np.concatenate([walls, lumens])
