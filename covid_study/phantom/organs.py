"""Organs of a synthetic patient as tubes and ellipsoids in mm, and the outline of the mediastinum around them.

Tubes are rows of x0, y0, z0, r0, x1, y1, z1, r1, HU; ellipsoids are rows of cx, cy, cz, rx, ry, rz, HU. Sizes and places
follow textbook anatomy of the adult chest in full inspiration.
"""

from dataclasses import dataclass

import numba
import numpy as np


@dataclass(frozen=True)
class Frame:
    """What the organs are placed by: half width, half depth and height of the lungs, domes of the diaphragm, contours by z."""

    a: float
    b: float
    height: float
    domes: tuple[float, float, float]
    z: np.ndarray
    cage: np.ndarray  # (z, angle + 1)
    spine_y: np.ndarray
    spine_size: np.ndarray
    fat: float

    def back(self, z: float) -> float:
        """Y of the middle of the vertebral body at height z."""
        return float(np.interp(z, self.z, self.spine_y))

    def wall(self, z: float, turn: float = 0.0) -> float:
        """Radius of the pleura at height z; turn 0: forward, 0.5: backward."""
        return float(np.interp(z, self.z, self.cage[:, int(turn * (self.cage.shape[1] - 1))]))


def line(points, radii, hu: float) -> np.ndarray:
    """Tubes along a polyline of points (n, 3) with radii at its points: (n - 1, 9).

    >>> line([(0, 0, 0), (0, 0, 5), (0, 5, 5)], [1, 2, 2], 40.0).shape
    (2, 9)
    """
    p, r = np.asarray(points, float), np.broadcast_to(radii, len(points)).astype(float)
    return np.column_stack([p[:-1], r[:-1], p[1:], r[1:], np.full(len(p) - 1, hu)])


def airways(f: Frame, rng):
    """Trachea and main bronchi: walls and lumens (tubes), where the trachea splits and where each bronchus ends."""
    carina = f.height * rng.uniform(0.63, 0.67)
    x, bend, high = rng.uniform(-2, 5), rng.uniform(-4, 4), f.height * 0.85
    split = np.array([x, f.back(carina) - 30, carina])
    top = (x * 0.3, f.back(f.height) - 26, f.height + 60)
    trachea = line([top, (x + bend, f.back(high) - 26, high), split], rng.uniform(7.2, 9.4), -985.0)
    right, left = split + (-31, 9, -24), split + (42, 14, -29)
    mains = np.concatenate(
        [
            line([split, right], [7.6, 6.2], -985.0),
            line([split, left], [7.0, 5.4], -985.0),
            line([right, right + (-9, 6, -22)], [5.0, 3.8], -975.0),
            line([right + (6, -2, 6), right + (-16, -4, 6)], [4.2, 3.2], -975.0),
            line([left, left + (7, 8, -22)], [4.6, 3.4], -975.0),
            line([left, left + (12, -8, 4)], [3.8, 3.0], -975.0),
        ]
    )
    walls = np.concatenate([trachea, mains])
    walls[:, [3, 7]] += 1.7
    walls[:, 8] = 35.0
    return walls, np.concatenate([trachea, mains]), (split, right, left)


def great_vessels(f: Frame, rng, heart, forks) -> np.ndarray:
    """Aorta, arteries and veins of lung and neck, oesophagus: tubes. heart: x, y, z of its base; forks: see `airways`."""
    hx, hy, hz = heart
    split, right, left = forks
    deep, carina = split[1:]
    arch, h, back = carina + 34, f.height, f.back
    blood, r = rng.uniform(34, 46), rng.uniform(12.5, 16.5)
    side = rng.uniform(18, 24)
    aorta = [(hx - 14, hy - 2, hz + 62), (-17, hy - 4, carina + 8), (-9, hy + 6, arch - 3)]
    aorta += [
        (9, back(arch) - 42, arch + 2),
        (side, back(arch) - 22, arch - 8),
        (side + 2, back(carina) - 10, carina - 12),
    ]
    aorta += [(side - 2, back(hz) - 14, hz), (6, back(0) - 26, -60), (4, back(f.z[0]) - 26, f.z[0])]
    veins = [(0, deep - 4, hz + 66), (36, deep + 2, hz + 62), (48, deep + 3, hz + 66)]
    tubes = [  # points, radii, HU
        ([(-8, hy + 4, arch), (-20, back(h) - 38, h * 0.98), (-26, back(h) - 40, h + 60)], [7, 6, 5], blood),
        ([(5, hy + 14, arch), (16, back(h) - 34, h), (24, back(h) - 34, h + 60)], [5, 4.5, 4], blood),
        ([(16, back(arch) - 32, arch), (27, back(h) - 24, h * 0.97), (60, back(h) - 40, h + 12)], [6, 5.5, 5], blood),
        ([(-25, hy, arch + 12), (12, hy - 4, arch + 18), (28, back(h) - 48, h + 10)], [8, 7.5, 6], blood - 2),
        ([(-26, hy + 2, arch + 24), (-32, back(h) - 46, h + 20)], [8, 7], blood - 2),
        ([(4, back(h) - 20, h + 50), (5, deep + 13, carina + 5), (9, back(hz) - 24, hz + 10), (14, back(hz) - 34, hz - 30)],
         [7, 7, 8, 8], 36.0),
        ([(-32, hy + 6, hz + 55), (-30, hy + 4, carina + 10), (-26, hy + 2, arch + 25)], 9.0, blood - 2),
        (aorta, np.array([1.12, 1.12, 1.0, 0.95, 0.9, 0.86, 0.8, 0.74, 0.7]) * r, blood),
        ([(hx + 6, hy - 10, hz + 55), (20, hy + 6, carina - 14), (36, deep + 4, carina - 10), left + (6, -6, 8)],
         [14, 13.5, 11, 8.5], blood),
        ([(18, hy + 10, carina - 18), (-12, deep - 14, carina - 24), right + (-6, -10, -2)], [11.5, 10.5, 9], blood),
        ([(-x, y, z) for x, y, z in veins], [9, 6.5, 5.5], blood),
        (veins, [9, 6.5, 5.5], blood),
    ]  # fmt: skip
    return np.concatenate([line(*tube) for tube in tubes])


def lymph_nodes(rng, split) -> np.ndarray:
    """A few small nodes in the fat around the carina: tubes."""
    near = split + rng.uniform((-22, -22, -20), (22, 4, 40), (9, 3))
    return np.concatenate(
        [line([p, p + (0, 1, 3)], r, 38.0) for p, r in zip(near, rng.uniform(1.5, 4.5, 9), strict=True)]
    )


def heart_chambers(f: Frame, rng, heart):
    """The heart (ellipsoids with HU) and the pericardial fat around it (ellipsoids without)."""
    x, y, z = heart
    size, blood = rng.uniform(0.88, 1.12) * f.a / 126, rng.uniform(34, 46)
    chambers = np.array(
        [
            (2, 0, 30, 30, 26, 34, blood),
            (32, 3, 24, 38, 37, 37, 46.0),  # left ventricle
            (-2, -17, 24, 42, 26, 38, blood),  # right ventricle
            (-27, 2, 36, 23, 29, 36, blood),  # right atrium
            (-8, 30, 56, 36, 19, 25, blood),  # left atrium
        ]
    )
    chambers[:, :6] *= size
    chambers[:, :3] += heart
    sack = chambers[:, :6] + np.array([0, 0, 0, 1, 1, 1]) * (rng.uniform(0.8, 2.2) + f.fat / 14)
    pads = np.array(
        [
            (x - 6, y + 4, z + 58, 34, 30, 40),
            (x + 36, y - 16, z + 2, 22, 24, 22),
            (x - 34, y - 18, z + 4, 20, 22, 18),
        ]
    )
    pads[1:, 3:] *= 0.7 + f.fat / 40
    return chambers, np.concatenate([sack, pads])


def abdomen(f: Frame, rng) -> np.ndarray:
    """Spleen, left lobe of the liver, stomach with or without its bubble, kidneys, gas in the gut now and then: ellipsoids."""
    a, b, (dome, left, _) = f.a, f.b, f.domes
    x, y = a * rng.uniform(0.40, 0.5), -b * 0.18
    rows = [(a * 0.62, b * 0.36, left - 47, 30, 38, 36, 52.0), (-5, -0.38 * b, dome - 28, 46, 34, 24, 58.0)]
    rows += [(x, y, left - 34, 46, 46, 30, 34.0), (a * 0.62, -0.05 * b, left - 60, 26, 36, 34, 38.0)]
    if rng.random() < 0.75:
        rows += [(x, y - 16, left - 28, rng.uniform(14, 32), rng.uniform(9, 17), rng.uniform(9, 17), -990.0)]
    rows += [(s * 52, b * 0.52, -48 + s * 6, 25, 25, 48, 32.0) for s in (-1, 1)]
    for _ in range(rng.integers(0, 5)):
        p, r = (
            (a * rng.uniform(0.25, 0.7), b * rng.uniform(-0.65, 0.1), left - rng.uniform(52, 110)),
            rng.uniform(8, 20),
        )
        rows += [(*p, r + 3, r + 3, r + 3, 40.0), (*p, r, r, r * rng.uniform(0.8, 1.2), -960.0)]
    return np.array(rows)


def shoulder_girdle(f: Frame) -> np.ndarray:
    """Collar bones, shoulder blades and heads of the humerus with the arms up: tubes, cortex first, marrow after."""
    a, b, h = f.a, f.b, f.height
    tubes = []
    for s in (-1, 1):
        front = -f.wall(h * 0.90)
        clavicle = [
            (s * 20, front - 4, h * 0.90),
            (s * 62, front - 8, h * 0.97),
            (s * (a + 18), -0.1 * b, h * 1.05),
        ]
        arm = [(s * (a + 48), b * 0.10, h * 1.04), (s * (a + 58), b * 0.10 - 5, h * 1.04 + 60)]
        tubes += [line(clavicle, [8, 6, 6.5], 620.0), line(clavicle, [5, 3.2, 4], 220.0)]
        tubes += [line(arm, [23, 15], 560.0), line(arm, [20, 11], 190.0)]
        neck, spine, tip = (
            np.array([s * a * u, b * v, h * w])
            for u, v, w in ((0.98, 0.55, 1.0), (0.80, 1.12, 0.86), (0.86, 1.10, 0.60))
        )
        for dz in range(-14, 46, 5):  # the blade is a sheet of tubes
            tubes.append(line([neck - (0, 0, dz), spine - (0, 0, dz)], [5.2 - 0.045 * dz, 2.6], 520.0))
        tubes.append(line([spine, tip], [4.4, 3.0], 560.0))
        for part in np.linspace(0, 1, 9):
            low = neck - (0, 0, 46)
            tubes.append(line([low + part * (tip - low), spine + part * (tip - spine)], [4.2, 2.6], 520.0))
    return np.concatenate(tubes)


def rib_necks(f: Frame, gap: float) -> np.ndarray:
    """The first part of each rib, from the spine to the chest wall: tubes."""
    tubes = []
    for z in np.arange(-1.5, 9.6) * gap:
        if z < f.height * 0.97:
            size, behind = float(np.interp(z, f.z, f.spine_size)), f.wall(z, 0.5)
            for s in (-1, 1):
                way = [
                    (s * size * 0.9, f.back(z) + 0.6 * size, z + 3),
                    (s * (size + 16), min(f.back(z) + 2 * size, behind), z),
                ]
                way.append((s * (size + 36), behind + 2, z - 3))
                tubes += [line(way, [3.6, 4.2, 4.0], 420.0), line(way, [2.0, 2.6, 2.4], 200.0)]
    return np.concatenate(tubes)


def _beads(tubes, margin):
    """Spheres along tubes, about 3 mm apart, as rows for `hull`."""
    rows = []
    for x0, y0, z0, r0, x1, y1, z1, r1, _ in tubes:
        n = max(2, int(np.hypot(np.hypot(x1 - x0, y1 - y0), z1 - z0) / 3) + 1)
        h = np.linspace(0, 1, n)[:, None]
        p = np.array([x0, y0, z0]) * (1 - h) + np.array([x1, y1, z1]) * h
        rows.append(np.hstack([p, (r0 * (1 - h) + r1 * h + margin).repeat(3, 1)]))
    return np.concatenate(rows)


@numba.njit(cache=True, fastmath=True, nogil=True)
def hull(right, left, y0, dy, z0, dz, blobs):
    """Widen the mediastinum's edges (z, y) so that they hold the ellipsoids: rows of cx, cy, cz, rx, ry, rz."""
    nz, ny = right.shape
    for n in range(blobs.shape[0]):
        cx, cy, cz, rx, ry, rz = blobs[n]
        for k in range(max(0, int((cz - rz - z0) / dz)), min(nz - 1, int((cz + rz - z0) / dz) + 1) + 1):
            for j in range(max(0, int((cy - ry - y0) / dy)), min(ny - 1, int((cy + ry - y0) / dy) + 1) + 1):
                e = 1 - ((z0 + k * dz - cz) / rz) ** 2 - ((y0 + j * dy - cy) / ry) ** 2
                if e > 0:
                    w = rx * np.sqrt(e)
                    right[k, j], left[k, j] = min(right[k, j], cx - w), max(left[k, j], cx + w)


def mediastinum(f: Frame, rng, y, tubes, walls, pads):
    """X of the right and of the left surface of the mediastinum over (z, y): a thin partition in front, the spine behind.

    tubes, walls: what it must hold, with 3 and 1 mm to spare; pads: ellipsoids that it must hold.
    """
    t = f.z[:, None] / f.height
    thin = np.interp(y / f.b, [-1.2, -0.85, -0.6, -0.3, 0.1, 0.5, 1.0], [12, 6, 4.5, 8, 13, 14, 14])[None]
    thin = thin + np.interp(t, [0.2, 0.5], [1, 0]) * np.interp(y / f.b, [-1.0, -0.5, -0.1], [9, 24, 0])[None]
    thin = thin + np.interp(t, [0.75, 0.95, 1.1], [0, 10, 16])
    middle = np.interp(y / f.b, [-1.0, 0.0, 0.6], [rng.uniform(-3, 3), 2, 0])[None]
    behind = y[None] - f.spine_y[:, None]
    w = f.spine_size[:, None] * 1.10 + 2
    round_ = np.sqrt(np.clip(1 - (behind / (w * 0.95)) ** 2, 0, 1)) * w
    flank = np.where(behind < 0, round_, w + np.clip(0.85 * behind - 6, 0, 60))
    right, left = np.minimum(middle - thin, -flank), np.maximum(middle + thin, flank)
    blobs = np.concatenate([_beads(tubes, 3.0), _beads(walls, 1.0), pads])
    hull(right, left, y[0], y[1] - y[0], f.z[0], f.z[1] - f.z[0], np.ascontiguousarray(blobs))
    for edge in (right, left) * 3:
        edge[:, 1:-1] = 0.25 * edge[:, :-2] + 0.5 * edge[:, 1:-1] + 0.25 * edge[:, 2:]
        edge[1:-1] = 0.25 * edge[:-2] + 0.5 * edge[1:-1] + 0.25 * edge[2:]
    return right, left
