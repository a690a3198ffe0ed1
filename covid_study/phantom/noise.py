"""The noise of a scanner: correlated within the slice, weaker in thick slices and large pixels."""

import numba
import numpy as np


@numba.njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
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


def noise_of(
    rng: np.random.Generator, shape: tuple[int, ...], sharp: float, thickness: float, pixel: float
) -> tuple[np.ndarray, float]:
    """Noise as the kernel leaves it, float32 (z, y, x), and the factor that gives it unit SD at 5 mm slices and 0.7 mm pixels.

    sharp: 0 soft to 1 sharp kernel. Choice: it falls with the square root of thickness, and with pixel size.
    """
    out = rng.standard_normal(shape, dtype=np.float32)
    side = np.clip(0.25 - 0.17 * sharp - 0.12 * max(0.0, pixel - 0.8), 0.02, 0.25)
    smooth_plane(out, np.float32(side))
    gain = 1 / ((1 - 2 * side) ** 2 + 2 * side**2)
    return out, gain * np.sqrt(5 / thickness) * min(1.0, 0.7 / pixel) ** 0.85
