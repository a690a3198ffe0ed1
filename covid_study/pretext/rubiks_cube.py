"""Rubik's cube Pro: the pretext task of paper A, IV-B: cubes permuted, rotated, masked, and the network that undoes it."""

from dataclasses import dataclass
from itertools import permutations as all_orders, product

import numpy as np
import torch
from scipy.spatial.distance import pdist
from torch import nn
from torch.nn import functional as F

CUBES = 8  # 2 x 2 x 2
Outputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # of the heads: permutation, horizontal, vertical
GREEDY = {"max_mean": np.add, "max_min": np.minimum}  # how a greedy search joins the distances to those taken


def permutations(k: int = 100, kind: str = "optimal") -> np.ndarray:
    """`k` permutations of the cubes that lie as far apart as possible (paper A, IV-B1).

    Deviation: the paper maximises the Hamming distance pair by pair, a greedy search that ends at a smallest distance of
    2 to 5 (the kinds "max_mean" and "max_min", kept for comparison). The group PGL(2, 7) acts on the eight points of
    a projective line so that two elements agree in at most two of them: any subset keeps a smallest distance of six, which
    for 100 of 8 is the best possible.
    Choice: among them, one by one the one with the largest summed distance to those taken, from the identity on. A greedy
    kind begins with one drawn with seed 0, as Noroozi and Favaro draw theirs; of equally far ones the first is taken.

    Args:
        k: how many, at most 336; 40,320 of a greedy kind.
        kind: "optimal", or greedy over all permutations: "max_mean", the largest mean distance to those taken (Noroozi and
            Favaro 2016, Algorithm 1), or "max_min", the largest smallest distance to them.

    Returns:
        int array (k, 8); row j sends to place i the cube `row[i]`.

    Raises:
        ValueError: there are not so many.

    >>> p = permutations(100)
    >>> p.shape, min(int((a != b).sum()) for i, a in enumerate(p) for b in p[:i])
    ((100, 8), 6)
    """
    if kind == "optimal":
        pool, first, join = _projective_line(), 0, np.add  # sorted: the identity comes first
    else:
        pool, join = np.array(list(all_orders(range(CUBES)))), GREEDY[kind]
        first = int(np.random.default_rng(0).integers(len(pool)))
    if not 1 <= k <= len(pool):
        raise ValueError(f"k must lie between 1 and {len(pool)}, got {k}")
    return _farthest(pool, k, first, join)


def _projective_line() -> np.ndarray:
    """The group PGL(2, 7), sorted: X -> (ax + b) / (cx + d) on 0, ..., 6 and infinity, written as 7."""
    prime = CUBES - 1

    def image(top: int, bottom: int) -> int:
        return prime if bottom % prime == 0 else top * pow(bottom, -1, prime) % prime

    group = {
        (*(image(a * x + b, c * x + d) for x in range(prime)), image(a, c))
        for a, b, c, d in product(range(prime), repeat=4)
        if (a * d - b * c) % prime
    }
    return np.array(sorted(group))


def _farthest(pool: np.ndarray, k: int, first: int, join: np.ufunc) -> np.ndarray:
    """From the row `first` on, one by one the row of `pool` that lies farthest from those taken.

    join: of the distances to those taken: np.add for their sum (the same order as their mean), np.minimum for the smallest.
    """
    chosen, score = [first], (pool != pool[first]).sum(1)
    while len(chosen) < k:
        score[chosen] = -1
        chosen.append(int(score.argmax()))
        score = join(score, (pool != pool[chosen[-1]]).sum(1))
    return pool[chosen]


def distances(table: np.ndarray) -> np.ndarray:
    """Hamming distances of all pairs of permutations (k, cubes): int (k (k - 1) / 2,).

    >>> distances(np.array([[0, 1, 2], [1, 0, 2], [1, 2, 0]])).tolist()
    [2, 3, 2]
    """
    return np.rint(pdist(table, "hamming") * table.shape[1]).astype(int)


def split(volumes: torch.Tensor) -> torch.Tensor:
    """Cut volumes (B, 1, z, y, x) into their cubes (B, 8, z/2, y/2, x/2); odd sizes lose their last voxel.

    >>> v = torch.arange(64.).reshape(1, 1, 4, 4, 4)
    >>> bool((assemble(split(v)) == v).all())
    True
    """
    b, _, *size = volumes.shape
    z, y, x = (n // 2 for n in size)
    v = volumes[:, 0, : 2 * z, : 2 * y, : 2 * x].reshape(b, 2, z, 2, y, 2, x)
    return v.permute(0, 1, 3, 5, 2, 4, 6).reshape(b, CUBES, z, y, x)


def assemble(cubes: torch.Tensor) -> torch.Tensor:
    """Put cubes (B, 8, z, y, x) together again: (B, 1, 2z, 2y, 2x)."""
    b, _, z, y, x = cubes.shape
    v = cubes.reshape(b, 2, 2, 2, z, y, x).permute(0, 1, 4, 2, 5, 3, 6)
    return v.reshape(b, 1, 2 * z, 2 * y, 2 * x)


def leave_gap(
    cubes: torch.Tensor, gap: tuple[int, int, int], generator: torch.Generator | None
) -> torch.Tensor:
    """Blank a jittered margin of each cube, so that no seam can be matched with its neighbour's.

    Choice: the paper is silent; Zhuang et al. (2019), whose task it extends, leave a gap for this reason. Each cube keeps a
    window that is `gap` smaller than the cube, at a random place; what is kept stays where it was.

    Args:
        cubes: (B, 8, z, y, x). gap: voxels lost along z, y, x.
    """
    b, n = cubes.shape[:2]
    for axis, width in enumerate(gap, start=2):
        if width:
            size = cubes.shape[axis]
            start = torch.randint(0, width + 1, (b, n, 1), generator=generator, device=cubes.device)
            place = torch.arange(size, device=cubes.device)
            kept = (place >= start) & (place < start + size - width)
            cubes = cubes * kept.view(b, n, *(size if a == axis else 1 for a in (2, 3, 4)))
    return cubes


def permute(cubes: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Rearrange cubes (B, 8, ...): place i receives cube `order[:, i]` (paper A, IV-B1)."""
    return cubes[torch.arange(len(cubes), device=cubes.device)[:, None], order]


def rotate(cubes: torch.Tensor, horizontal: torch.Tensor, vertical: torch.Tensor) -> torch.Tensor:
    """Turn the marked cubes by 180 degrees (paper A, IV-B2).

    Choice: "horizontal" turns about the left-right axis (z and y reversed), "vertical" about the body's long axis (y and x
    reversed); the paper does not name the axes.

    Args:
        cubes: (B, 8, z, y, x). horizontal, vertical: bool (B, 8).
    """
    cubes = torch.where(horizontal[..., None, None, None], cubes.flip(2, 3), cubes)
    return torch.where(vertical[..., None, None, None], cubes.flip(3, 4), cubes)


def mask(cubes: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """Blank about half of the voxels of about half of the cubes (paper A, IV-B3): pos >= 0.5, R >= 0.5."""
    masked = torch.rand(cubes.shape[:2], generator=generator, device=cubes.device) >= 0.5
    kept = torch.rand(cubes.shape, generator=generator, device=cubes.device) >= 0.5
    return cubes * (kept | ~masked[..., None, None, None])


@dataclass(frozen=True)
class Scrambled:
    """A batch of the pretext task: what the network sees, and what it has to say."""

    cubes: torch.Tensor  # (B, 8, z, y, x)
    permutation: torch.Tensor  # (B,) which of the k
    horizontal: torch.Tensor  # (B, 8) 1 where turned
    vertical: torch.Tensor  # (B, 8)


def scramble(
    volumes: torch.Tensor,
    table: torch.Tensor,
    gap: tuple[int, int, int] = (0, 0, 0),
    masking: bool = True,
    generator: torch.Generator | None = None,
) -> Scrambled:
    """Play the cube: gap, permutation, rotation and, for Rubik's cube Pro, masking (paper A, IV-B).

    Args:
        volumes: (B, 1, z, y, x) in [0, 1]. table: (k, 8), the permutations to choose from.
        gap: largest gap in voxels along z, y, x.
        masking: True for Rubik's cube Pro, False for Rubik's cube. generator: makes it repeatable.
    """
    b, device = len(volumes), volumes.device
    which = torch.randint(len(table), (b,), generator=generator, device=device)
    turns = torch.rand((2, b, CUBES), generator=generator, device=device) >= 0.5
    cubes = leave_gap(split(volumes), gap, generator)
    cubes = rotate(permute(cubes, table[which]), turns[0], turns[1])
    if masking:
        cubes = mask(cubes, generator)
    return Scrambled(cubes, which, turns[0].float(), turns[1].float())


class RubiksCubeNet(nn.Module):
    """The encoder with the three heads of the pretext task.

    Choice: `heads="siamese"` sends every cube through the same encoder and joins the eight feature vectors, as Zhuang et
    al. (2019) do; `"whole"` sends the cubes put together again through it once. The paper only names the backbone.

    >>> from covid_study.networks.resnet3d import encoder
    >>> net = RubiksCubeNet(encoder(0.25), 128, k=100)
    >>> [tuple(out.shape) for out in net(torch.zeros(2, 8, 8, 12, 16))]
    [(2, 100), (2, 8), (2, 8)]
    """

    def __init__(self, backbone: nn.Module, features: int, k: int, heads: str = "siamese", hidden: int = 256):
        super().__init__()
        self.encoder, self.siamese = backbone, heads == "siamese"
        joined = features * (CUBES if self.siamese else 1)
        self.trunk = nn.Sequential(nn.Linear(joined, hidden), nn.ReLU())
        self.permutation = nn.Linear(hidden, k)
        self.horizontal = nn.Linear(hidden, CUBES)
        self.vertical = nn.Linear(hidden, CUBES)

    def forward(self, cubes: torch.Tensor) -> Outputs:
        if self.siamese:
            each = self.encoder(cubes.flatten(0, 1).unsqueeze(1))
            features = each.unflatten(0, (len(cubes), CUBES)).flatten(1)
        else:
            features = self.encoder(assemble(cubes))
        hidden = self.trunk(features)
        return self.permutation(hidden), self.horizontal(hidden), self.vertical(hidden)


def pretext_loss(outputs: Outputs, truth: Scrambled) -> torch.Tensor:
    """L_P + L_R, eq. 1 and 2 of paper A, IV-B; mean over the batch.

    Deviation: eq. 2 as printed has no (1 - g) log(1 - h) term, so that answering "turned" everywhere minimises it; this
    is the binary cross-entropy. Choice: summed over cubes as printed.

    >>> k, b = 100, 4
    >>> truth = Scrambled(None, torch.zeros(b, dtype=torch.long), torch.ones(b, 8), torch.zeros(b, 8))
    >>> zeros = (torch.zeros(b, k), torch.zeros(b, 8), torch.zeros(b, 8))
    >>> round(float(pretext_loss(zeros, truth)), 4) == round(float(np.log(100) + 16 * np.log(2)), 4)
    True
    """
    permutation, horizontal, vertical = outputs
    loss_p = F.cross_entropy(permutation, truth.permutation)
    turns = ((horizontal, truth.horizontal), (vertical, truth.vertical))
    loss_r = sum(F.binary_cross_entropy_with_logits(said, true, reduction="sum") for said, true in turns)
    return loss_p + loss_r / len(permutation)


def pretext_accuracy(outputs: Outputs, truth: Scrambled) -> dict[str, torch.Tensor]:
    """Share of permutations named right (chance 1/k), and of turns told right, horizontal and vertical (chance 1/2).

    Left on the device: a number asked for at every step would make it wait for a GPU.
    """
    permutation, horizontal, vertical = outputs
    right = {
        "permutation": permutation.argmax(1) == truth.permutation,
        "horizontal": (horizontal > 0) == truth.horizontal.bool(),
        "vertical": (vertical > 0) == truth.vertical.bool(),
    }
    return {name: told.float().mean() for name, told in right.items()}
