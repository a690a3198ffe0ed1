"""Numba loops that turn the phantom's geometry (mm) into Hounsfield units on a scanner's grid.

Every shape has an edge one pixel wide, and every slice is the mean of several planes across its thickness: partial
volume is built in, so that the same patient can be sampled at 0.6 mm or at 3 mm without a finer grid in between.
One file, longer than others: Numba's cache does not notice when a function in another file changes.
"""

import numba
import numpy as np

AIR, WALL, LUNG, MEDIASTINUM, ABDOMEN = 0, 1, 2, 3, 4  # tissue labels of `render_body`
MUSCLE, PARENCHYMA = 52.0, -880.0  # HU
GROUND_GLASS, SOLID, PAVING, LOBAR, HOLE = 0, 1, 2, 3, 4  # lesion patterns

_jit = numba.njit(cache=True, fastmath=True, nogil=True, error_model="numpy")


@_jit
def soft(distance, width):
    """Share of a pixel of `width` mm that lies inside an edge `distance` mm away (positive inside)."""
    return min(1.0, max(0.0, 0.5 + distance / width))


@_jit
def within(low, high, corner, step, n):
    """First and last of n voxels, `step` mm apart from the centre `corner`, between two places in mm."""
    return max(0, int(np.ceil((low - corner) / step))), min(n - 1, int((high - corner) / step))


@_jit
def beside_lung(value, lung, label):
    """What an object of `value` HU shows in a voxel: lung shines through where a voxel of another tissue holds some."""
    return value if label == LUNG else value + lung * (PARENCHYMA - value)


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
def rib(wall, level, gap, kind, pixel):
    """HU of a rib and its share of the pixel; wall: mm outside the pleura, level: height in rib spacings."""
    offset = (level - np.floor(level) - 0.5) * gap
    e = np.sqrt(((wall - 5.2) / 3.9) ** 2 + (offset / 6.6) ** 2)
    core = 130.0  # cartilage
    if kind > 1:  # marrow within cortex
        core = 180.0 + 520.0 * soft((e - 0.62) * 4.2, max(1.2, pixel))
    return core, soft((1 - e) * 4.2, pixel)


@_jit
def chest_wall(field, x, y, z, r, rb, rm, rc, t, level, gap, kind, pixel, fat):
    """HU of skin, fat, muscle or rib, r mm from the axis; rb, rm, rc: radii of skin, muscle and pleura."""
    strand = lattice(field, x / 9, y / 9, z / 14)
    value = fat + 14 * strand
    deep = soft(rm - r, pixel)
    if deep < 1 and pixel < 1.5 and abs(lattice(field, x / 23, y / 23, z / 23)) < 0.018:
        value += 45  # septa
    value += (20 - value) * soft(1.7 - (rb - r), pixel)
    if deep <= 0:
        return value
    wall, thick = r - rc, rm - rc - 10
    flesh = MUSCLE + 8 * strand
    if wall > 10.5 and thick > 5:  # a fat plane between two muscles, here and there
        mid = 10 + thick * (0.5 + 0.55 * lattice(field, x / 34, y / 34, z / 55))
        flesh += (fat + 20 - flesh) * soft(0.9 + 2.4 * strand - abs(wall - mid), pixel)
    if wall > 12:  # pads of fat, more towards the shoulders
        pad = lattice(field, x / 26 + 7, y / 26, z / 40) + 0.5 * strand
        flesh += (fat - flesh) * soft(pad - 0.20 - 0.9 * max(0.0, 0.86 - t), 0.12)
    if wall < 1.8:
        flesh = fat + 60
    value += deep * (flesh - value)
    if wall < 11 and kind > 0:
        core, bone = rib(wall, level, gap, kind, pixel)
        value += bone * (core - value)
    return value


@_jit
def between_lungs(field, x, y, z, above, below, side, wall, behind, fat, liver):
    """HU and label within the ribcage but outside the lungs.

    above, below: mm above the diaphragm, below the apex; side, wall: mm outside the mediastinum, inside the pleura;
    behind: mm behind the middle of the vertebral bodies.
    """
    if above < 0:
        if above > -3.5 or wall < 4:
            return MUSCLE, ABDOMEN
        if x < 24 - 0.55 * y + 0.55 * above + 14 * lattice(field, x / 50, y / 50, z / 50):
            vein = abs(lattice(field, x / 22, y / 22 + 3, z / 22)) < 0.035
            return liver - 22 * vein, ABDOMEN
        return fat + 12 * lattice(field, x / 9, y / 9, z / 14), ABDOMEN
    if below < 0:
        pad = lattice(field, x / 15, y / 15, z / 22)
        value = MUSCLE + (fat - MUSCLE) * soft(pad - 0.08, 0.2)
    elif side > -2.0:
        value = 0.0  # pleura
    else:
        value = fat + 8 + 45 * max(0.0, lattice(field, x / 7, y / 7, z / 10))
    if behind > 2:  # muscle between the necks of the ribs
        value += (MUSCLE - value) * min(1.0, 0.25 * (behind - 2))
    return value, MEDIASTINUM


@_jit
def render_body(
    hu, lung, label, background, pixels, planes, contours, edges, edge_y, spine_y, drop, rib_kind, field, sizes, tone
):  # fmt: skip
    """Fill one block of slices with everything that is not a separate organ.

    hu, lung: float32 (z, y, x) outputs, HU and the share of lung; label: uint8. background: HU of air and table (y, x).
    pixels: (6, y, x) patient mm x, y, radius, angle (in table cells), height of the diaphragm, of the apex. planes: z in mm
    (slice, plane in it). contours: (3, slices * planes, angle) radii of pleura, muscle, skin. edges: (2, slices * planes,
    y) x of the mediastinum's right and left surface, from edge_y[0] in steps of edge_y[1]. spine_y: (slices * planes,).
    sizes: half depth, height, rib spacing, pixel. tone: HU of lung, its excess along the back, of fat, of liver.
    """
    nz, ny, nx = hu.shape
    half_depth, height, gap, pixel = sizes[0], sizes[1], sizes[2], sizes[3]
    base, dependent, fat, liver = tone[0], tone[1], tone[2], tone[3]
    n_planes = planes.shape[1]
    share = 1.0 / n_planes
    for k in range(nz):
        for s in range(n_planes):
            z, row = planes[k, s], k * n_planes + s
            reach = contours[2, row].max() + pixel
            t = z / height
            for j in range(ny):
                for i in range(nx):
                    r = pixels[2, j, i]
                    if r > reach:
                        hu[k, j, i] += share * background[j, i]
                        continue
                    q = pixels[3, j, i]
                    a = int(q)
                    q -= a
                    rb = contours[2, row, a] * (1 - q) + contours[2, row, a + 1] * q
                    inside = soft(rb - r, pixel)
                    if inside <= 0:
                        hu[k, j, i] += share * background[j, i]
                        continue
                    rm = contours[1, row, a] * (1 - q) + contours[1, row, a + 1] * q
                    rc = contours[0, row, a] * (1 - q) + contours[0, row, a + 1] * q
                    x, y = pixels[0, j, i], pixels[1, j, i]
                    value, air, tissue = fat, 0.0, WALL
                    if r > rc - pixel:
                        level = (z + drop[a] * (1 - q) + drop[a + 1] * q) / gap
                        kind = rib_kind[a] if -0.3 < t < 1.02 else 0
                        value = chest_wall(field, x, y, z, r, rb, rm, rc, t, level, gap, kind, pixel, fat)
                    if r < rc + pixel:
                        cell = (y - edge_y[0]) / edge_y[1]
                        c = min(max(int(cell), 0), edges.shape[2] - 2)
                        cell -= c
                        right = edges[0, row, c] * (1 - cell) + edges[0, row, c + 1] * cell
                        left = edges[1, row, c] * (1 - cell) + edges[1, row, c + 1] * cell
                        side = max(right - x, x - left)
                        above, below = z - pixels[4, j, i], pixels[5, j, i] - z
                        steep = max(pixel, 2.0)
                        inner_share = soft(rc - r, pixel)
                        air = inner_share * soft(above, steep) * soft(below, steep) * soft(side, pixel)
                        if air < 1:
                            inner, tissue = between_lungs(
                                field, x, y, z, above, below, side, rc - r, y - spine_y[row], fat, liver
                            )
                            value += inner_share * (inner - value)
                        if air > 0:
                            lobe, fissure = lobe_of(x, y, z, half_depth, height)
                            inner = parenchyma(
                                field, x, y, z, rc - r, half_depth, base, dependent, pixel < 1.6
                            )
                            if fissure < 2.5:
                                inner += 80.0 * np.exp(-(fissure**2)) / max(1.0, pixel)
                            value += (inner - value) * air
                    hu[k, j, i] += share * (value * inside + background[j, i] * (1 - inside))
                    lung[k, j, i] += share * air
                    if 2 * s <= n_planes:
                        label[k, j, i] = LUNG if air >= 0.5 else tissue


@_jit
def paint_tubes(hu, lung, label, tubes, corner, spacing, spread, allowed):
    """Draw capsules: rows of x0, y0, z0, r0, x1, y1, z1, r1, HU in scanner mm, later rows over earlier ones.

    corner: mm of the first voxel's centre (z, y, x); spread: offsets in mm whose mean is a slice; allowed: bit mask of labels.
    """
    nz, ny, nx = hu.shape
    dz, dy, dx = spacing
    half = 0.5 * dz
    for n in range(tubes.shape[0]):
        x0, y0, z0, r0, x1, y1, z1, r1, value = tubes[n]
        big = max(r0, r1) + dx
        k0, k1 = within(min(z0, z1) - big - half, max(z0, z1) + big + half, corner[0], dz, nz)
        j0, j1 = within(min(y0, y1) - big, max(y0, y1) + big, corner[1], dy, ny)
        i0, i1 = within(min(x0, x1) - big, max(x0, x1) + big, corner[2], dx, nx)
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
                        full = beside_lung(value, lung[k, j, i], label[k, j, i])
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
        k0, k1 = within(cz - rz - half, cz + rz + half, corner[0], dz, nz)
        j0, j1 = within(cy - wide - dx, cy + wide + dx, corner[1], dy, ny)
        i0, i1 = within(cx - wide - dx, cx + wide + dx, corner[2], dx, nx)
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
                        full = beside_lung(value, lung[k, j, i], label[k, j, i])
                        hu[k, j, i] += cover / spread.size * (full - hu[k, j, i])


@_jit
def paint_lesions(hu, lung, burden, lesions, field, corner, spacing, spread, turn, sizes):
    """Draw lesions into the lung and mark them in `burden` (float32, share of a voxel that is ill).

    Rows: cx, cy, cz, r_in, r_along, r_z, cos, sin, opacity, HU, edge, roughness, pattern, lobe, in patient mm; cos, sin turn
    the first axis along the pleural normal. turn: cos, sin, x, y, z, stretch, patient to scanner. sizes: half depth, height.
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
        tall = rz * grow * stretch
        k0, k1 = within(sz - tall - half, sz + tall + half, corner[0], dz, nz)
        j0, j1 = within(sy - wide - dx, sy + wide + dx, corner[1], dy, ny)
        i0, i1 = within(sx - wide - dx, sx + wide + dx, corner[2], dx, nx)
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
                            noise += 0.7 * lattice(
                                field, 3.1 * x / grain, 3.1 * y / grain + n, 3.1 * z / grain
                            )
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
                            if pattern in (SOLID, LOBAR):
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
def vertebra(u, v, size, level, gap, pixel):
    """HU and share of the pixel of the spine; u, v: sideways and backwards in half widths of a vertebral body."""
    value, inside = 0.0, 0.0
    if not -1.2 < v < 4.2:
        return value, inside
    disc = soft((0.13 - abs(level - 0.5)) * gap, 1.5)
    flat = v / 0.84 if v < 0 else v / 0.74
    e = np.sqrt(u * u + flat * flat)
    body = soft((1 - e) * size, pixel)
    if body > 0:
        bone = 170 + 330 * soft((e - 0.86) * size, max(1.0, pixel))
        value, inside = bone * (1 - disc) + 85 * disc, body
    canal = np.sqrt((u / 0.52) ** 2 + ((v - 1.24) / 0.46) ** 2)
    arch = soft((1.62 - canal) * 0.48 * size, pixel) * (1 - disc * 0.8)
    if v > 0.75 and arch > inside:
        value, inside = 430.0, arch
    hole = soft((1 - canal) * 0.48 * size, pixel)
    if hole > 0:
        value, inside = 560 + (25 - 560) * hole, max(inside, hole)
    tip = soft((0.24 - u) * size, pixel) * soft((v - 1.75) * size, pixel)
    tip *= soft((2.75 + 0.5 * level - v) * size, pixel)
    if tip > inside and level < 0.75:  # spinous process
        value, inside = 420.0, tip
    wing = soft((0.25 - abs(v - 0.75 - 0.62 * u)) * size, pixel) * soft((1.75 - u) * size, pixel)
    wing *= soft((0.3 - abs(level)) * gap, 2.0) + soft((0.3 - abs(level - 1)) * gap, 2.0)
    if u > 0.55 and wing > inside:  # transverse processes
        value, inside = 310.0, wing
    return value, inside


@_jit
def paint_skeleton(hu, spine, sternum, corner, spacing, spread, turn, gap):
    """Draw the spine (bodies, discs, canal, arch, processes) and the sternum of one block of slices.

    spine: y of the vertebral body's middle and its half width, a row a table cell of z from spine[0, 2] in steps of
    spine[1, 2]; sternum: y of its middle and half width, in the same rows. turn: see `paint_lesions`.
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
                    level = z / gap - np.floor(z / gap)
                    value, inside = vertebra(abs(x) / size, (y - spine[row, 0]) / size, size, level, gap, dx)
                    w = sternum[row, 1]
                    if w > 0:
                        thick = 5.8 * np.sqrt(1 - min(1.0, (x / w) ** 4))
                        e = min(w - abs(x), thick - abs(y - sternum[row, 0] - 0.006 * x * x))
                        b = soft(e, dx)
                        if b > inside:
                            value, inside = 120 + 380 * soft(1.4 - e, max(1.0, dx)), b
                    total += inside * value
                    cover += inside
                if cover > 0:
                    hu[k, j, i] += (total - cover * hu[k, j, i]) / spread.size
