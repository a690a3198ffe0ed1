"""Numba loops that turn the phantom's geometry (mm) into Hounsfield units on a scanner's grid.

Every shape has an edge one pixel wide, and every slice is the mean of several planes across its thickness: partial
volume is built in, so that the same patient can be sampled at 0.6 mm or at 3 mm without a finer grid in between.
"""

from __future__ import annotations

import numba
import numpy as np

AIR, WALL, LUNG, MEDIASTINUM, ABDOMEN = 0, 1, 2, 3, 4  # tissue labels of `render_body`
FAT, MUSCLE, PARENCHYMA = -100.0, 52.0, -880.0  # HU
GROUND_GLASS, SOLID, PAVING, LOBAR, HOLE = 0, 1, 2, 3, 4  # lesion patterns

_jit = numba.njit(cache=True, fastmath=True, nogil=True, error_model="numpy")


@_jit
def soft(distance, width):
    """Share of a pixel of `width` mm that lies inside an edge `distance` mm away (positive inside)."""
    return min(1.0, max(0.0, 0.5 + distance / width))


@_jit
def lattice(field, x, y, z):
    """Smooth noise: trilinear interpolation in a periodic cube of 32 random numbers a side."""
    fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
    ix, iy, iz = int(fx) & 31, int(fy) & 31, int(fz) & 31
    jx, jy, jz = (ix + 1) & 31, (iy + 1) & 31, (iz + 1) & 31
    x, y, z = x - fx, y - fy, z - fz
    a = field[iz, iy, ix] * (1 - x) + field[iz, iy, jx] * x
    b = field[iz, jy, ix] * (1 - x) + field[iz, jy, jx] * x
    c = field[jz, iy, ix] * (1 - x) + field[jz, iy, jx] * x
    d = field[jz, jy, ix] * (1 - x) + field[jz, jy, jx] * x
    return (a * (1 - y) + b * y) * (1 - z) + (c * (1 - y) + d * y) * z


@_jit
def lobe_of(x, y, z, half_depth, height):
    """Lobe at a point: 0 right lower, 1 right middle, 2 right upper, 3 left lower, 4 left upper; and the mm to its fissure."""
    oblique = z - height * (0.36 + 0.34 * y / half_depth) + 0.0011 * x * x - 6
    if x > 0:
        return (3, -oblique) if oblique < 0 else (4, oblique)
    if oblique < 0:
        return 0, -oblique
    horizontal = z - 0.50 * height - 0.05 * y + 0.002 * (x + 70) * (x + 70)
    if horizontal < 0:
        return 1, min(oblique, -horizontal)
    return 2, min(oblique, horizontal)


@_jit
def parenchyma(field, x, y, z, depth, half_depth, base, dependent, fine):
    """Normal lung in HU: denser where gravity pulls the blood, textured; `dependent` HU along the back."""
    hu = base + 30.0 * y / half_depth + 16.0 * lattice(field, x / 11, y / 11, z / 11)
    if fine:
        hu += 24.0 * lattice(field, x / 3.3, y / 3.3, z / 3.3)
    if dependent > 0 and y > 0.25 * half_depth and depth < 30:
        band = min(1.0, (y / half_depth - 0.25) * 2.2) * np.exp(-depth / 7.0)
        hu += dependent * band * (1 + 0.5 * lattice(field, x / 17, y / 17, z / 17))
    return hu


@_jit
def lobes(points, half_depth, height):
    """Lobe of each point (n, 3): int64 (n,), see `lobe_of`."""
    out = np.empty(points.shape[0], np.int64)
    for n in range(points.shape[0]):
        out[n] = lobe_of(points[n, 0], points[n, 1], points[n, 2], half_depth, height)[0]
    return out


@_jit
def render_body(hu, lung, label, background, xs, ys, radius, angle, floor, roof, planes, cage, muscle, body,
                right_edge, left_edge, edge_y0, edge_dy, spine_y, drop, rib_kind, field, pixel, sizes, tone):
    """Fill one block of slices with everything that is not a separate organ.

    hu, lung: float32 (z, y, x) outputs, HU and the share of lung; label: uint8. background: HU of air and table (y, x).
    xs, ys, radius, angle, floor, roof: per pixel, patient mm, polar coordinates (angle in table cells), diaphragm, apex.
    planes: z in mm (slice, plane in the slice). cage, muscle, body: radii (slice * planes, angle). right_edge, left_edge:
    x of the mediastinum (slice * planes, y). spine_y: (slice * planes,). sizes: half_depth, height, rib spacing, rib start, rib end. tone: base HU of the
    lung, dependent HU, fat HU, liver HU.
    """
    nz, ny, nx = hu.shape
    half_depth, height, gap, rib_low, rib_high = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
    base, dependent, fat, liver = tone[0], tone[1], tone[2], tone[3]
    n_planes, n_angles = planes.shape[1], cage.shape[1] - 1
    share = 1.0 / n_planes
    for k in range(nz):
        for s in range(n_planes):
            z, row = planes[k, s], k * n_planes + s
            reach = body[row].max() + pixel
            t = z / height
            for j in range(ny):
                for i in range(nx):
                    r = radius[j, i]
                    if r > reach:
                        hu[k, j, i] += share * background[j, i]
                        continue
                    q = angle[j, i]
                    a = int(q)
                    q -= a
                    rb = body[row, a] * (1 - q) + body[row, a + 1] * q
                    inside = soft(rb - r, pixel)
                    if inside <= 0:
                        hu[k, j, i] += share * background[j, i]
                        continue
                    rm = muscle[row, a] * (1 - q) + muscle[row, a + 1] * q
                    rc = cage[row, a] * (1 - q) + cage[row, a + 1] * q
                    x, y = xs[j, i], ys[j, i]
                    value, air, tissue = fat, 0.0, WALL
                    if r > rc - pixel:  # the chest wall, from the skin inwards
                        under = rb - r
                        strand = lattice(field, x / 9, y / 9, z / 14)
                        value = fat + 14 * strand
                        deep = soft(rm - r, pixel)
                        if deep < 1 and pixel < 1.5 and abs(lattice(field, x / 23, y / 23, z / 23)) < 0.018:
                            value += 45
                        value += (20 - value) * soft(1.7 - under, pixel)
                        if deep > 0:
                            wall = r - rc
                            flesh = MUSCLE + 8 * strand
                            # fat planes: one half way out, and pads where the noise says so, more towards the shoulders
                            thick = rm - rc - 10
                            if wall > 10.5 and thick > 5:
                                bend = lattice(field, x / 34, y / 34, z / 55)
                                mid = 10 + thick * (0.5 + 0.55 * bend)
                                split = soft(0.9 + 2.4 * lattice(field, x / 19, y / 19, z / 30) - abs(wall - mid), pixel)
                                flesh += (fat + 20 - flesh) * split
                            if wall > 12:
                                pad = lattice(field, x / 26 + 7, y / 26, z / 40) + 0.5 * strand
                                flesh += (fat - flesh) * soft(pad - 0.20 - 0.9 * max(0.0, 0.86 - t), 0.12)
                            if wall < 1.8:
                                flesh = fat + 60
                            value += deep * (flesh - value)
                            if wall < 11 and rib_low < t < rib_high:
                                level = (z + drop[a] * (1 - q) + drop[a + 1] * q) / gap
                                offset = (level - np.floor(level) - 0.5) * gap
                                e = np.sqrt(((wall - 5.2) / 3.9) ** 2 + (offset / 6.6) ** 2)
                                bone = soft((1 - e) * 4.2, pixel)
                                if bone > 0 and rib_kind[a] > 0:
                                    if rib_kind[a] > 1:
                                        core = 180.0 + 520.0 * soft((e - 0.62) * 4.2, max(1.2, pixel))
                                    else:
                                        core = 115.0 + 60 * strand
                                    value += bone * (core - value)
                    if r < rc + pixel:  # inside the cage: lung, mediastinum or abdomen
                        cell = (y - edge_y0) / edge_dy
                        c = min(max(int(cell), 0), right_edge.shape[1] - 2)
                        cell -= c
                        xr = right_edge[row, c] * (1 - cell) + right_edge[row, c + 1] * cell
                        xl = left_edge[row, c] * (1 - cell) + left_edge[row, c + 1] * cell
                        side = max(xr - x, x - xl)
                        above, below = z - floor[j, i], roof[j, i] - z
                        steep = max(pixel, 2.0)
                        air = soft(rc - r, pixel) * soft(above, steep) * soft(below, steep) * soft(side, pixel)
                        within = soft(rc - r, pixel)
                        if air < 1:
                            if above < 0:
                                tissue = ABDOMEN
                                inner = fat + 12 * lattice(field, x / 9, y / 9, z / 14)
                                if above > -3.5 or rc - r < 4:
                                    inner = MUSCLE
                                elif x < 24 - 0.55 * y + 0.55 * above + 14 * lattice(field, x / 50, y / 50, z / 50):
                                    inner = liver
                                    if abs(lattice(field, x / 22, y / 22 + 3, z / 22)) < 0.035:
                                        inner -= 22
                            else:
                                tissue = MEDIASTINUM
                                strand = lattice(field, x / 7, y / 7, z / 10)
                                inner = fat + 8 + 45 * max(0.0, strand)
                                if below < 0:
                                    pad = lattice(field, x / 15, y / 15, z / 22)
                                    inner = MUSCLE + (fat - MUSCLE) * soft(pad - 0.08, 0.2)
                                elif side > -2.0:
                                    inner = 0.0
                                if y > spine_y[row] + 2:  # beside the spine: muscle between the necks of the ribs
                                    inner += (MUSCLE - inner) * min(1.0, 0.25 * (y - spine_y[row] - 2))
                            value += within * (inner - value)
                        if air > 0:
                            lobe, fissure = lobe_of(x, y, z, half_depth, height)
                            open_lung = parenchyma(field, x, y, z, rc - r, half_depth, base, dependent, pixel < 1.6)
                            if fissure < 2.5:
                                open_lung += 80.0 * np.exp(-((fissure / 1.0) ** 2)) / max(1.0, pixel)
                            value += (open_lung - value) * air
                    hu[k, j, i] += share * (value * inside + background[j, i] * (1 - inside))
                    lung[k, j, i] += share * air
                    if 2 * s <= n_planes:
                        label[k, j, i] = LUNG if air >= 0.5 else tissue


@_jit
def paint_tubes(hu, lung, label, tubes, corner, spacing, spread, allowed):
    """Draw capsules: rows of x0, y0, z0, r0, x1, y1, z1, r1, HU in scanner mm, later rows over earlier ones.

    corner: mm of the first voxel's centre (z, y, x); spread: slice offsets in mm whose mean is a slice; allowed: bit mask of labels.
    """
    nz, ny, nx = hu.shape
    dz, dy, dx = spacing
    half = 0.5 * dz
    for n in range(tubes.shape[0]):
        x0, y0, z0, r0, x1, y1, z1, r1, value = tubes[n]
        big = max(r0, r1) + dx
        k0 = max(0, int(np.ceil((min(z0, z1) - big - half - corner[0]) / dz)))
        k1 = min(nz - 1, int((max(z0, z1) + big + half - corner[0]) / dz))
        j0 = max(0, int(np.ceil((min(y0, y1) - big - corner[1]) / dy)))
        j1 = min(ny - 1, int((max(y0, y1) + big - corner[1]) / dy))
        i0 = max(0, int(np.ceil((min(x0, x1) - big - corner[2]) / dx)))
        i1 = min(nx - 1, int((max(x0, x1) + big - corner[2]) / dx))
        ux, uy, uz = x1 - x0, y1 - y0, z1 - z0
        length = max(ux * ux + uy * uy + uz * uz, 1e-6)
        for k in range(k0, k1 + 1):
            for j in range(j0, j1 + 1):
                for i in range(i0, i1 + 1):
                    if not (allowed >> label[k, j, i]) & 1:
                        continue
                    px, py = corner[2] + i * dx - x0, corner[1] + j * dy - y0
                    cover = 0.0
                    for s in range(spread.size):
                        pz = corner[0] + k * dz + spread[s] - z0
                        h = min(1.0, max(0.0, (px * ux + py * uy + pz * uz) / length))
                        r = r0 + h * (r1 - r0)
                        d = np.sqrt((px - h * ux) ** 2 + (py - h * uy) ** 2 + (pz - h * uz) ** 2)
                        if d < r + dx:  # thinner than a pixel: as faint as its share of the pixel
                            thin = min(1.0, 2 * r / dx)
                            cover += soft(r - d, dx) * thin * thin
                    if cover > 0:
                        full = value
                        if label[k, j, i] != LUNG:
                            full += lung[k, j, i] * (PARENCHYMA - value)
                        hu[k, j, i] += cover / spread.size * (full - hu[k, j, i])


@_jit
def paint_ellipsoids(hu, lung, label, blobs, corner, spacing, spread, allowed):
    """Draw ellipsoids: rows of cx, cy, cz, rx, ry, rz, cos, sin (turn about z), HU in scanner mm."""
    nz, ny, nx = hu.shape
    dz, dy, dx = spacing
    half = 0.5 * dz
    for n in range(blobs.shape[0]):
        cx, cy, cz, rx, ry, rz, co, si, value = blobs[n]
        wide, small = max(rx, ry), min(rx, min(ry, rz))
        k0 = max(0, int(np.ceil((cz - rz - half - corner[0]) / dz)))
        k1 = min(nz - 1, int((cz + rz + half - corner[0]) / dz))
        j0 = max(0, int(np.ceil((cy - wide - dx - corner[1]) / dy)))
        j1 = min(ny - 1, int((cy + wide + dx - corner[1]) / dy))
        i0 = max(0, int(np.ceil((cx - wide - dx - corner[2]) / dx)))
        i1 = min(nx - 1, int((cx + wide + dx - corner[2]) / dx))
        for k in range(k0, k1 + 1):
            for j in range(j0, j1 + 1):
                for i in range(i0, i1 + 1):
                    if not (allowed >> label[k, j, i]) & 1:
                        continue
                    px, py = corner[2] + i * dx - cx, corner[1] + j * dy - cy
                    e = ((px * co + py * si) / rx) ** 2 + ((py * co - px * si) / ry) ** 2
                    cover = 0.0
                    for s in range(spread.size):
                        pz = (corner[0] + k * dz + spread[s] - cz) / rz
                        cover += soft((1 - np.sqrt(e + pz * pz)) * small, dx)
                    if cover > 0:
                        full = value
                        if label[k, j, i] != LUNG:
                            full += lung[k, j, i] * (PARENCHYMA - value)
                        hu[k, j, i] += cover / spread.size * (full - hu[k, j, i])


@_jit
def paint_lesions(hu, lung, burden, lesions, field, corner, spacing, spread, turn, sizes):
    """Draw lesions into the lung and mark them in `burden` (float32, share of a voxel that is ill).

    Rows: cx, cy, cz, r_in, r_along, r_z, cos, sin, opacity, HU, edge, roughness, pattern, lobe, in patient mm; cos, sin turn the
    first axis along the pleural normal. turn: cos, sin, x, y, z, stretch, from scanner to patient. sizes: half depth, height.
    """
    nz, ny, nx = hu.shape
    dz, dy, dx = spacing
    half = 0.5 * dz
    tc, ts, tx, ty, tz, stretch = turn
    for n in range(lesions.shape[0]):
        cx, cy, cz, ra, rt, rz, co, si, opacity, target, edge, rough, pattern, lobe = lesions[n]
        grow = 1.0 + 1.3 * rough
        wide = max(ra, rt) * grow
        sx, sy, sz = tc * cx - ts * cy + tx, ts * cx + tc * cy + ty, cz * stretch + tz
        k0 = max(0, int(np.ceil((sz - rz * grow * stretch - half - corner[0]) / dz)))
        k1 = min(nz - 1, int((sz + rz * grow * stretch + half - corner[0]) / dz))
        j0 = max(0, int(np.ceil((sy - wide - dx - corner[1]) / dy)))
        j1 = min(ny - 1, int((sy + wide + dx - corner[1]) / dy))
        i0 = max(0, int(np.ceil((sx - wide - dx - corner[2]) / dx)))
        i1 = min(nx - 1, int((sx + wide + dx - corner[2]) / dx))
        grain = max(5.0, 0.55 * min(ra, min(rt, rz)))
        blur = max(edge, 0.7 * dx / min(ra, min(rt, rz)))
        for k in range(k0, k1 + 1):
            for j in range(j0, j1 + 1):
                for i in range(i0, i1 + 1):
                    if lung[k, j, i] < 0.02:
                        continue
                    gx, gy = corner[2] + i * dx - tx, corner[1] + j * dy - ty
                    x, y = tc * gx + ts * gy, tc * gy - ts * gx
                    px, py = x - cx, y - cy
                    e = ((px * co + py * si) / ra) ** 2 + ((py * co - px * si) / rt) ** 2
                    if e > grow * grow:
                        continue
                    cover, paint = 0.0, 0.0
                    for s in range(spread.size):
                        z = (corner[0] + k * dz + spread[s] - tz) / stretch
                        rho = np.sqrt(e + ((z - cz) / rz) ** 2)
                        if rho > grow:
                            continue
                        noise = lattice(field, x / grain + n, y / grain, z / grain)
                        if rho > 1 - 1.3 * rough - blur:  # a ragged edge; the middle needs none
                            noise += 0.7 * lattice(field, 3.1 * x / grain, 3.1 * y / grain + n, 3.1 * z / grain)
                        o = soft((1 - rho + rough * noise) - 0.5 * blur, blur)
                        if o > 0 and pattern == LOBAR:
                            where, fissure = lobe_of(x, y, z, sizes[0], sizes[1])
                            if where != int(lobe):
                                o = 0.0
                            else:
                                o *= soft(fissure, dx)
                        if o > 0:
                            hue = target + 45 * lattice(field, x / 6, y / 6 + n, z / 6)
                            if pattern == PAVING and abs(lattice(field, x / 7, y / 7, z / 7 + n)) < 0.07:
                                hue += 190
                            if pattern == SOLID or pattern == LOBAR:
                                hue = target + 0.4 * (hue - target)
                            cover += o
                            paint += o * hue
                    if cover <= 0:
                        continue
                    hue, cover = paint / cover, cover / spread.size
                    here = lung[k, j, i]
                    change = hue - (hu[k, j, i] if here > 0.98 else PARENCHYMA)
                    if (change < 0) == (pattern == HOLE):
                        hu[k, j, i] += here * cover * opacity * change
                    burden[k, j, i] = max(burden[k, j, i], cover)


@_jit
def paint_skeleton(hu, spine, sternum, corner, spacing, spread, turn, gap):
    """Draw the spine (body, disc, canal, arch, processes) and the sternum of one block of slices.

    spine: y of the vertebral body's centre and its size, a row a table cell of z from spine[0, 2] in steps of spine[1, 2];
    sternum: y of its middle, half width, in the same rows.
    """
    nz, ny, nx = hu.shape
    dz, dy, dx = spacing
    tc, ts, tx, ty, tz, stretch = turn
    for k in range(nz):
        for j in range(ny):
            for i in range(nx):
                gx, gy = corner[2] + i * dx - tx, corner[1] + j * dy - ty
                x = tc * gx + ts * gy
                if abs(x) > 42 or hu[k, j, i] < -950:
                    continue
                y = tc * gy - ts * gx
                total, cover = 0.0, 0.0
                for s in range(spread.size):
                    z = (corner[0] + k * dz + spread[s] - tz) / stretch
                    row = min(max(int((z - spine[0, 2]) / spine[1, 2]), 0), spine.shape[0] - 1)
                    size = spine[row, 1]
                    value, inside = 0.0, 0.0
                    v = (y - spine[row, 0]) / size  # in units of one half width of a vertebral body
                    u = abs(x) / size
                    if -1.2 < v < 4.2:
                        level = z / gap - np.floor(z / gap)
                        disc = soft((0.13 - abs(level - 0.5)) * gap, 1.5)
                        flat = v / 0.84 if v < 0 else v / 0.74
                        e = np.sqrt(u * u + flat * flat)
                        b = soft((1 - e) * size, dx)
                        if b > 0:
                            rim = soft((e - 0.86) * size, max(1.0, dx))
                            bone = 170 + 330 * rim
                            value, inside = bone * (1 - disc) + 85 * disc, b
                        canal = np.sqrt((u / 0.52) ** 2 + ((v - 1.24) / 0.46) ** 2)
                        arch = soft((1.62 - canal) * 0.48 * size, dx) * (1 - disc * 0.8)
                        if v > 0.75 and arch > inside:
                            value, inside = 430.0, arch
                        hole = soft((1 - canal) * 0.48 * size, dx)
                        if hole > 0:
                            value, inside = 560 + (25 - 560) * hole, max(inside, hole)
                        tip = soft((0.24 - abs(u)) * size, dx) * soft((v - 1.75) * size, dx)
                        long = soft((2.75 + 0.5 * level - v) * size, dx)
                        if tip * long > inside and level < 0.75:
                            value, inside = 420.0, tip * long
                        wing = soft((0.25 - abs(v - 0.75 - 0.62 * u)) * size, dx) * soft((1.75 - u) * size, dx)
                        wing *= soft((0.3 - abs(level)) * gap, 2.0) + soft((0.3 - abs(level - 1)) * gap, 2.0)
                        if u > 0.55 and wing > inside:
                            value, inside = 310.0, wing
                    if row < sternum.shape[0] and sternum[row, 1] > 0:
                        w = sternum[row, 1]
                        bow = min(1.0, (x / w) ** 4)
                        e = min((w - abs(x)), 5.8 * np.sqrt(1 - bow) - abs(y - sternum[row, 0] - 0.006 * x * x))
                        b = soft(e, dx)
                        if b > inside:
                            value, inside = 120 + 380 * soft(1.4 - e, max(1.0, dx)), b
                    total += inside * value
                    cover += inside
                if cover > 0:
                    hu[k, j, i] += (total - cover * hu[k, j, i]) / spread.size


@_jit
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


@_jit
def grow_tree(points, root, path_weight):
    """Greedy tree over points (n, 3): each joins where distance + path_weight * path to the root is least (Cuntz et al. 2010).

    Returns parents (n,), -1 for the root itself, and the order in which the points joined.
    """
    n = points.shape[0]
    parent, order = np.full(n, -1), np.empty(n, np.int64)
    cost, path = np.full(n, 1e18), np.zeros(n)
    done = np.zeros(n, np.bool_)
    at, here = root, -1
    length = 0.0
    for step in range(n):
        best, low = -1, 1e18
        for m in range(n):
            if done[m]:
                continue
            d = np.sqrt((points[m, 0] - at[0]) ** 2 + (points[m, 1] - at[1]) ** 2 + (points[m, 2] - at[2]) ** 2)
            c = d + path_weight * length
            if c < cost[m]:
                cost[m], parent[m], path[m] = c, here, length + d
            if cost[m] < low:
                best, low = m, cost[m]
        done[best], order[step] = True, best
        at, here, length = points[best], best, path[best]
    return parent, order


@_jit
def smooth_plane(block, side):
    """In place, each row and column of (z, y, x) with the kernel side, 1 - 2 side, side."""
    nz, ny, nx = block.shape
    mid = 1 - 2 * side
    for k in range(nz):
        for j in range(ny):
            last = block[k, j, 0]
            for i in range(1, nx - 1):
                now = block[k, j, i]
                block[k, j, i] = mid * now + side * (last + block[k, j, i + 1])
                last = now
        above = block[k, 0].copy()
        for j in range(1, ny - 1):
            for i in range(nx):
                now = block[k, j, i]
                block[k, j, i] = mid * now + side * (above[i] + block[k, j + 1, i])
                above[i] = now
