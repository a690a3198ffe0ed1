"""Pictures that look like slices of chests, each of its own."""

import numpy as np


def chest(seed, size=200):
    """Two dark lungs in a bright body, much the same for all, and vessels that are each picture's own."""
    y, x = np.mgrid[:size, :size] / size
    rng = np.random.default_rng(seed)
    image = 200.0 * ((x - 0.5) ** 2 / 0.22 + (y - 0.5) ** 2 / 0.17 < 1)
    for side in (0.31, 0.69):
        cx, cy, wide, high = (side, 0.5, 0.15, 0.26) + rng.uniform(-0.025, 0.025, 4)
        image[((x - cx) / wide) ** 2 + ((y - cy) / high) ** 2 < 1] = 40
    for cx, cy, r in rng.uniform((0.15, 0.25, 0.006), (0.85, 0.75, 0.016), (90, 3)):
        image[(x - cx) ** 2 + (y - cy) ** 2 < r**2] = 235
    return image.astype(np.uint8)
