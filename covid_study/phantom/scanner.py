"""The scanners of the synthetic cohort: protocols, the grid of an exam, and the way from anatomy and lesions to HU.

Paper A, Table I gives the ranges: thickness 0.5 to 10 mm, pixels 0.482 to 0.977 mm at 512 x 512, 100 to 140 kV.
"""

from dataclasses import dataclass

import numpy as np

from covid_study.phantom import raster
from covid_study.phantom.noise import noise_of, smooth_plane
from covid_study.phantom.patient import N_ANGLES, Y_STEP, Z_STEP, Anatomy, apex, diaphragm

PIXEL_RANGE_MM = (0.482, 0.977)  # Table I, all three findings
CHUNK = 3 << 20  # voxels rendered at a time: bounds the memory of thin-slice exams


@dataclass(frozen=True)
class Centre:
    """One hospital's scanner and habits. Choice: ten centres; Table I gives ranges only."""

    name: str
    manufacturer: str
    view_mm: float  # usual field of view; widened where the lungs do not fit
    thickness_mm: tuple[float, ...]
    kvp: tuple[int, ...]
    noise_hu: float  # SD in soft tissue at 0.7 mm pixels and 5 mm slices
    sharp: float  # 0 soft to 1 sharp kernel
    padding: int | None  # HU outside the circular field of view; None: the whole square is reconstructed
    table: int  # 0 two arcs, 1 one thick arc, 2 flat top with a curved keel


CENTRES = (
    Centre("A", "SIEMENS", 330, (2.0, 5.0, 1.5), (110, 120), 15, 0.35, None, 0),
    Centre("B", "SIEMENS", 360, (1.0, 5.0, 7.0), (120, 130), 13, 0.75, -1024, 0),
    Centre("C", "GE MEDICAL SYSTEMS", 350, (1.25, 5.0, 0.625), (120,), 17, 0.60, -1024, 1),
    Centre("D", "GE MEDICAL SYSTEMS", 400, (5.0, 7.5, 2.5), (100, 120), 14, 0.25, -1024, 1),
    Centre("E", "Philips", 320, (1.0, 5.0, 2.0), (120, 140), 16, 0.55, None, 2),
    Centre("F", "Philips", 380, (3.0, 5.0, 10.0), (120,), 11, 0.15, -1024, 2),
    Centre("G", "TOSHIBA", 300, (5.0, 7.0, 1.0), (120, 135), 18, 0.45, -1024, 1),
    Centre("H", "TOSHIBA", 420, (8.0, 10.0, 5.0), (120,), 10, 0.20, None, 0),
    Centre("I", "MinFound Medical Systems", 450, (5.0, 1.0, 3.0), (120,), 19, 0.65, -1024, 0),
    Centre("J", "SIEMENS", 247, (0.5, 0.75, 6.0), (100, 120, 140), 20, 0.90, None, 0),
)


@dataclass(frozen=True)
class Grid:
    """Where an exam's voxels lie in scanner mm, and how the patient lies among them."""

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    corner: tuple[float, float, float]  # centre of the first voxel (z, y, x)
    turn: tuple[float, ...]  # cos, sin, x, y, z, stretch: patient to scanner

    def to_scanner(self, rows: np.ndarray, columns: tuple[int, ...]) -> np.ndarray:
        """Rows whose points (x, y, z at each of `columns`) are moved from the patient to the scanner."""
        co, si, tx, ty, tz, stretch = self.turn
        out = np.array(rows, dtype=np.float64)
        for c in columns:
            x, y, z = rows[:, c], rows[:, c + 1], rows[:, c + 2]
            out[:, c], out[:, c + 1], out[:, c + 2] = (
                co * x - si * y + tx,
                si * x + co * y + ty,
                z * stretch + tz,
            )
        return out


def place(
    anatomy: Anatomy, centre: Centre, rng: np.random.Generator, matrix: int, thickness_mm
) -> tuple[Grid, dict]:
    """Draw the position of one exam and its protocol; thickness_mm clips the centre's own thickness.

    Returns the grid and the protocol as in `volume.Volume`. The number of random draws depends on neither matrix nor thickness.
    """
    own = float(rng.choice(centre.thickness_mm))
    dz = float(np.clip(own, *thickness_mm))
    angle = np.deg2rad(rng.normal(0, 2.0))
    shift = rng.uniform(-9, 9, 2)
    stretch = float(np.clip(rng.normal(0.985, 0.025), 0.90, 1.03))  # how deep a breath was taken
    low, high = rng.uniform(10, 45), rng.uniform(10, 26)
    # the lungs must fit: a margin beyond the widest contour, within the range of Table I
    need = 2 * (anatomy.cage[:, [N_ANGLES // 4, 3 * N_ANGLES // 4]].max() + 8 + np.abs(shift).max())
    view = max(centre.view_mm * rng.uniform(0.95, 1.05), need)
    pixel = float(np.clip(view / 512, *PIXEL_RANGE_MM)) * 512 / matrix
    bottom = float(anatomy.points[:, 2].min()) * stretch - low
    dz_count = int(np.ceil((anatomy.height * stretch + high - bottom) / dz))
    middle = 0.5 * (matrix - 1) * pixel
    grid = Grid(
        (dz_count, matrix, matrix),
        (dz, pixel, pixel),
        (bottom + 0.5 * dz, -middle, -middle),
        (float(np.cos(angle)), float(np.sin(angle)), float(shift[0]), float(shift[1]) - 4.0, 0.0, stretch),
    )
    protocol = dict(
        kvp=int(rng.choice(centre.kvp)),
        slice_thickness_mm=dz,
        n_slices=dz_count,
        matrix=matrix,
        pixel_spacing_mm=pixel,
        manufacturer=centre.manufacturer,
        centre=centre.name,
    )
    return grid, protocol


def planes_of(thickness: float) -> np.ndarray:
    """Offsets in mm of the planes whose mean is a slice: one in 2.6 mm, or nearer."""
    n = max(1, int(np.ceil(thickness / 2.6)))
    return (np.arange(n) + 0.5) / n * thickness - 0.5 * thickness


def _background(centre: Centre, pixel: float, xs: np.ndarray, ys: np.ndarray, height: float) -> np.ndarray:
    """HU of air and table, the same in every slice: (y, x)."""
    out = np.full(xs.shape, -1000.0, np.float32)

    def shell(distance, half, hu):
        share = np.clip(0.5 + (half - np.abs(distance)) / pixel, 0, 1) * min(1.0, 2 * half / pixel)
        np.add(out, share * (hu - out), out=out)

    wide = np.clip(0.5 + (215 - np.abs(xs)) / pixel, 0, 1)
    if centre.table == 2:
        shell(ys - height, 2.0, -420 * wide - 1000 * (1 - wide))
        bowl = height + 62 - 0.0016 * xs**2
        inside = (ys > height) & (ys < bowl)
        out[inside] = -965
        shell(ys - bowl, 1.6, np.where(np.abs(xs) < 190, -250.0, -1000.0))
        return out
    bend = 0.0011 if centre.table == 0 else 0.0007
    upper = height - bend * xs**2
    lower = height + 26 - (bend + 0.0002) * xs**2
    out[(ys > upper) & (ys < lower) & (np.abs(xs) < 215)] = -970
    for edge, half, hu in ((upper, 1.3, -330.0), (lower, 1.5 if centre.table == 0 else 3.0, -60.0)):
        shell(ys - edge, half, hu * wide - 1000 * (1 - wide))
    return out


def scan(
    anatomy: Anatomy, lesions: np.ndarray, centre: Centre, grid: Grid, rng: np.random.Generator, kvp: int
):
    """Render one exam: HU int16, lungs bool, lesions bool, all (z, y, x).

    Choice: noise is louder across the shoulders; two confusers come in every finding alike: blood pooled along the back, and
    motion near heart and diaphragm.
    """
    nz, ny, nx = grid.shape
    dz, pixel, _ = grid.spacing
    co, si, tx, ty, tz, stretch = grid.turn
    field = rng.uniform(-1, 1, (32, 32, 32)).astype(np.float32)
    base = raster.PARENCHYMA + rng.normal(0, 9) + 260 * (0.985 - stretch)
    dependent = rng.uniform(40, 230) if rng.random() < 0.35 else 0.0
    motion = rng.uniform(0.6, 2.2) if rng.random() < 0.15 else 0.0
    plates = grid.to_scanner(_plates(anatomy, rng), (0,))
    level = centre.noise_hu * rng.uniform(0.9, 1.5) * (120 / kvp) * (2 * anatomy.half_width / 260) ** 1.5

    gx = grid.corner[2] + np.arange(nx) * pixel - tx
    gy = grid.corner[1] + np.arange(ny) * pixel - ty
    xs = (co * gx[None] + si * gy[:, None]).astype(np.float32)
    ys = (co * gy[:, None] - si * gx[None]).astype(np.float32)
    angle = (np.arctan2(xs, -ys) * (N_ANGLES / (2 * np.pi)) % N_ANGLES).clip(0, N_ANGLES - 1e-3)
    size = (anatomy.half_width, anatomy.half_depth)
    floor, roof = diaphragm(xs, ys, *size, anatomy.domes), apex(xs, ys, *size, anatomy.height)
    pixels = np.stack([xs, ys, np.hypot(xs, ys), angle, floor, roof]).astype(np.float32)
    lying = float(anatomy.body[:, N_ANGLES // 2].max()) + 3
    background = _background(centre, pixel, *np.meshgrid(gx.astype(np.float32), gy.astype(np.float32)), lying)
    spread = planes_of(dz)
    sizes = np.array([anatomy.half_depth, anatomy.height, anatomy.rib_gap, pixel])
    edge_y = np.array([anatomy.edge_y0, Y_STEP])
    tables = (
        np.stack([anatomy.cage, anatomy.muscle, anatomy.body]),
        np.stack([anatomy.right_edge, anatomy.left_edge]),
    )
    tone = np.array([base, dependent, anatomy.fat_hu - (120 - kvp) * 0.15, anatomy.liver_hu])
    outer, inner = (grid.to_scanner(tubes, (0, 4)) for tubes in (anatomy.outer_tubes, anatomy.inner_tubes))

    def turned(blobs):  # ellipsoids that lie straight in the patient
        rows = grid.to_scanner(blobs, (0,))
        turn = np.broadcast_to([co, si], (len(rows), 2))
        return np.column_stack([rows[:, :5], rows[:, 5] * stretch, turn, rows[:, 6]])

    belly, organs = turned(anatomy.belly), turned(anatomy.organs)
    hu_out = np.empty(grid.shape, np.int16)
    lungs, ill = np.empty(grid.shape, bool), np.empty(grid.shape, bool)
    along = (start + np.arange(n) * pixel for start, n in zip(grid.corner[:0:-1], (nx, ny), strict=True))
    from_axis = np.hypot(*np.meshgrid(*along))
    step = max(1, CHUNK // (ny * nx))
    labels = raster.WALL, raster.LUNG, raster.MEDIASTINUM, raster.ABDOMEN  # where a shape may show
    wall, in_lung, mediastinum, abdomen = (1 << label for label in labels)
    for k in range(0, nz, step):
        n = min(step, nz - k)
        corner = (grid.corner[0] + k * dz, grid.corner[1], grid.corner[2])
        planes = (corner[0] + np.arange(n)[:, None] * dz + spread[None] - tz) / stretch
        rows = np.clip((planes.ravel() - anatomy.z0) / Z_STEP, 0, len(anatomy.cage) - 1.001)
        low = rows.astype(int)
        part = (rows - low)[:, None]
        contours, edges = ((t[:, low] * (1 - part) + t[:, low + 1] * part).astype(np.float32) for t in tables)
        spine_y = np.interp(rows, np.arange(len(anatomy.spine)), anatomy.spine[:, 0])
        hu, lung, label = (np.zeros((n, ny, nx), kind) for kind in (np.float32, np.float32, np.uint8))
        raster.render_body(
            hu, lung, label, background, pixels, planes, contours, edges, edge_y, spine_y, anatomy.drop, anatomy.rib_kind,
            field, sizes, tone
        )  # fmt: skip
        lungs[k : k + n] = lung >= 0.5
        where = (corner, grid.spacing, spread)
        raster.paint_ellipsoids(hu, lung, label, belly, *where, abdomen)
        raster.paint_ellipsoids(hu, lung, label, organs, *where, mediastinum)
        raster.paint_tubes(hu, lung, label, outer, *where, mediastinum | wall)
        raster.paint_skeleton(hu, anatomy.spine, anatomy.sternum, *where, grid.turn, anatomy.rib_gap)
        raster.paint_ellipsoids(hu, lung, label, plates, *where, in_lung)
        burden = np.zeros_like(hu)
        raster.paint_lesions(hu, lung, burden, lesions, field, *where, grid.turn, sizes)
        ill[k : k + n] = (burden >= 0.4) & lungs[k : k + n]
        raster.paint_tubes(hu, lung, label, inner, *where, in_lung)
        if motion:
            _move(hu, planes[:, 0] / anatomy.height, motion / pixel)
        if pixel < 1:
            smooth_plane(hu, np.float32(0.22 - 0.16 * centre.sharp))
        noise, gain = noise_of(rng, hu.shape, centre.sharp, dz, pixel)
        loud = level * gain * (1 + 0.7 * np.clip((planes.mean(1) / anatomy.height - 0.8) / 0.2, 0, 1))
        noise *= loud.astype(np.float32)[:, None, None]
        hu += noise
        np.clip(hu, -1024, 3071, out=hu)
        if centre.padding is not None:
            hu[:, from_axis > 0.5 * nx * pixel] = centre.padding
        hu_out[k : k + n] = np.rint(hu)
    return hu_out, lungs, ill


def _plates(anatomy, rng):
    """Thin atelectasis above the diaphragm, in one exam of six: ellipsoids."""
    draws = rng.random(3)
    if draws[0] > 0.16:
        return np.zeros((0, 9))
    x = np.array([-1.0, 1.0])[: 1 + (draws[1] < 0.5)] * anatomy.half_width * 0.62
    y = np.full_like(x, anatomy.half_depth * 0.2)
    z = diaphragm(x, y, anatomy.half_width, anatomy.half_depth, anatomy.domes) + 9 + 8 * draws[2]
    one = np.ones_like(x)
    return np.column_stack([x, y, z, 24 * one, 9 * one, 1.7 * one, 0.9 * one, 0.43 * one, -180 * one])


def _move(hu, height, pixels):
    """Blend each slice with a copy moved backwards, most near the heart (in place)."""
    share = 0.5 * np.exp(-(((height - 0.35) / 0.22) ** 2)).astype(np.float32)[:, None, None]
    whole = max(1, int(round(pixels)))
    hu[:, whole:] += (share * min(1.0, pixels)) * (hu[:, :-whole] - hu[:, whole:])
