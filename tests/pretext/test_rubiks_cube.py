"""The pretext task: permutations, the operations on cubes, and the loss."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn

from covid_study.pretext import rubiks_cube as rc

SHAPE = (8, 12, 16)


@pytest.fixture
def volumes() -> torch.Tensor:
    """Every voxel has a value of its own, none of them 0."""
    return torch.arange(1.0, 3 * math.prod(SHAPE) + 1).reshape(3, 1, *SHAPE)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def distances(table: np.ndarray) -> np.ndarray:
    first, second = np.triu_indices(len(table), 1)
    return (table[first] != table[second]).sum(1)


def test_the_whole_group():
    table = rc.permutations(336)
    assert (np.sort(table, 1) == np.arange(8)).all()
    assert table[0].tolist() == list(range(8)) and np.issubdtype(table.dtype, np.integer)
    assert distances(table).min() == 6 and distances(rc.permutations(2)).min() == 8
    for k in (0, 337):
        with pytest.raises(ValueError, match="between 1 and 336"):
            rc.permutations(k)


def test_cubes_are_the_eight_corners(volumes):
    cubes = rc.split(volumes)
    z, y, x = (n // 2 for n in SHAPE)
    assert cubes.shape == (3, 8, z, y, x)
    for number in range(8):  # z is the slowest: 0 to 3 are caudal
        a, b, c = number >> 2, number >> 1 & 1, number & 1
        expected = volumes[:, 0, a * z : (a + 1) * z, b * y : (b + 1) * y, c * x : (c + 1) * x]
        assert torch.equal(cubes[:, number], expected)


def test_the_inverse_permutation_undoes(volumes):
    cubes = rc.split(volumes)
    order = torch.from_numpy(rc.permutations(100)[[1, 17, 99]])
    scrambled = rc.permute(cubes, order)
    for exam, row in enumerate(order.tolist()):
        for place, cube in enumerate(row):
            assert torch.equal(scrambled[exam, place], cubes[exam, cube])
    assert not torch.equal(scrambled, cubes)
    assert torch.equal(rc.permute(scrambled, order.argsort(1)), cubes)


def test_turns_reverse_two_axes_each_and_undo_themselves(volumes):
    cubes = rc.split(volumes)
    never, always = torch.zeros(3, 8, dtype=torch.bool), torch.ones(3, 8, dtype=torch.bool)
    array = cubes.numpy()
    for turns, expected in (
        ((always, never), array[:, :, ::-1, ::-1, :]),
        ((never, always), array[:, :, :, ::-1, ::-1]),
        ((always, always), array[:, :, ::-1, :, ::-1]),
    ):
        turned = rc.rotate(cubes, *turns)
        np.testing.assert_array_equal(turned.numpy(), expected)
        assert torch.equal(rc.rotate(turned, *turns), cubes)
    some = torch.zeros(3, 8, dtype=torch.bool)
    some[1, 3] = True
    moved = (rc.rotate(cubes, some, never) != cubes).flatten(2).any(2)
    assert torch.equal(moved, some)  # the marked cubes and no other


@pytest.mark.parametrize("gap", [(1, 0, 0), (0, 2, 0), (0, 0, 3), (1, 2, 3)])
def test_a_gap_has_its_width_and_moves_nothing(volumes, gap):
    cubes = rc.split(volumes)
    kept = rc.leave_gap(cubes, gap, generator(3))
    filled = kept != 0
    assert torch.equal(kept[filled], cubes[filled])
    starts = set()
    for cube in filled.flatten(0, 1):
        lines = [cube.any(2).any(1), cube.any(2).any(0), cube.any(1).any(0)]
        for axis, line in enumerate(lines):
            places = line.nonzero().ravel()
            assert len(places) == cubes.shape[2 + axis] - gap[axis]
            assert places[-1] - places[0] + 1 == len(places)  # one window, no holes
        assert cube.sum() == math.prod(int(line.sum()) for line in lines)
        starts.add(tuple(int(line.nonzero()[0]) for line in lines))
    assert len(starts) > 1  # jittered


def test_masking_is_the_rule_of_the_paper_on_its_own_draws():
    after, again = rc.mask(torch.ones(3, 8, 2, 3, 4), generator(4)), generator(4)
    pos, r = (torch.rand(shape, generator=again) for shape in ((3, 8), after.shape))
    assert torch.equal(after == 0, (pos >= 0.5)[..., None, None, None] & (r < 0.5))


def test_scrambling_rearranges_voxels_and_loses_none(volumes):
    table = torch.from_numpy(rc.permutations(100))
    batch = rc.scramble(volumes, table, masking=False, generator=generator(5))
    assert torch.equal(batch.cubes.flatten(1).sort(1).values, volumes.flatten(1).sort(1).values)
    # what the truth says undoes it
    undone = rc.rotate(batch.cubes, batch.horizontal.bool(), batch.vertical.bool())
    undone = rc.permute(undone, table[batch.permutation].argsort(1))
    assert torch.equal(rc.assemble(undone), volumes)


def test_scrambling_draws_all_classes_and_turns_about_evenly():
    table = torch.from_numpy(rc.permutations(10))
    batch = rc.scramble(torch.zeros(2000, 1, 2, 2, 2), table, generator=generator(0))
    counts = batch.permutation.bincount(minlength=10)
    assert len(counts) == 10 and ((counts - 200).abs() < 5 * math.sqrt(200)).all()
    for turns in (batch.horizontal, batch.vertical):
        assert ((turns.mean(0) - 0.5).abs() < 5 * math.sqrt(0.25 / 2000)).all()
    both = (batch.horizontal * batch.vertical).mean()
    assert abs(both - 0.25) < 0.02  # independent


def truth_of(which, horizontal, vertical) -> rc.Scrambled:
    return rc.Scrambled(torch.zeros(0), torch.tensor(which), torch.tensor(horizontal), torch.tensor(vertical))


def test_loss_by_hand():
    """Softmax and logistic function written out, two exams, three classes, mean over the batch."""
    rng = np.random.default_rng(0)
    p, h, v = rng.normal(size=(2, 3)), rng.normal(size=(2, 8)), rng.normal(size=(2, 8))
    which, (g_h, g_v) = [2, 0], rng.integers(0, 2, (2, 2, 8)).astype(float)
    expected = 0.0
    for i in range(2):
        expected -= math.log(math.exp(p[i, which[i]]) / sum(math.exp(a) for a in p[i]))
        for logits, g in ((h[i], g_h[i]), (v[i], g_v[i])):
            for a, b in zip(logits, g, strict=True):
                q = 1 / (1 + math.exp(-a))
                expected -= b * math.log(q) + (1 - b) * math.log(1 - q)
    outputs = tuple(torch.from_numpy(a) for a in (p, h, v))
    assert float(rc.pretext_loss(outputs, truth_of(which, g_h, g_v))) == pytest.approx(expected / 2)


def test_accuracy_counts():
    truth = truth_of([0, 1], [[1.0] * 8, [0.0] * 8], [[1.0] * 4 + [0.0] * 4] * 2)
    said = torch.tensor([[1.0] * 4 + [-1.0] * 4] * 2)
    outputs = (torch.tensor([[2.0, 1.0], [2.0, 1.0]]), torch.ones(2, 8), said)
    assert rc.pretext_accuracy(outputs, truth) == {"permutation": 0.5, "horizontal": 0.5, "vertical": 1.0}


class Mean(nn.Module):
    """An encoder whose answer is known: the mean and the maximum of what it sees."""

    def forward(self, volumes):
        return torch.stack([volumes.mean((1, 2, 3, 4)), volumes.amax((1, 2, 3, 4))], 1)


def test_siamese_heads_see_each_cube_in_its_place_and_whole_heads_all_together():
    cubes = torch.rand(2, 8, 3, 4, 5)
    seen = {}
    for heads in ("siamese", "whole"):
        net = rc.RubiksCubeNet(Mean(), 2, k=7, heads=heads)
        net.trunk.register_forward_pre_hook(lambda _, args, heads=heads: seen.update({heads: args[0]}))
        assert [tuple(out.shape) for out in net(cubes)] == [(2, 7), (2, 8), (2, 8)]
    for heads, axes in (("siamese", (2, 3, 4)), ("whole", (1, 2, 3, 4))):
        expected = torch.stack([cubes.mean(axes), cubes.amax(axes)], -1).flatten(1)
        torch.testing.assert_close(seen[heads], expected)


@pytest.mark.parametrize(
    "kind, smallest, mean", [("optimal", 6, 7.07), ("max_min", 5, 6.93), ("max_mean", 2, 7.07)]
)
def test_smallest_and_mean_distance_of_each_set(kind, smallest, mean):
    table = rc.permutations(100, kind=kind)
    assert table.shape == (100, 8) and (np.sort(table, 1) == np.arange(8)).all()
    assert len({tuple(row) for row in table}) == 100
    found = distances(table)
    assert found.min() == smallest
    assert found.mean() == pytest.approx(mean, abs=0.005)


@pytest.mark.parametrize("kind", list(rc.GREEDY))
def test_a_greedy_set_takes_the_farthest_at_every_step(kind):
    """Against the plain search, on the 120 permutations of five: also the first of equally far ones is taken."""
    pool = np.array(list(permutations(range(5))))
    table = rc._farthest(pool, 30, 17, rc.GREEDY[kind])
    for step in range(1, len(table)):
        scores = []
        for q in pool:
            gaps = [int((q != row).sum()) for row in table[:step]]
            taken = 0 in gaps
            scores.append(-1 if taken else sum(gaps) / step if kind == "max_mean" else min(gaps))
        assert table[step].tolist() == pool[int(np.argmax(scores))].tolist()
