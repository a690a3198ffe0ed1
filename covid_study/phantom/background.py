"""The phantom's lesions inside the lungs of a real exam: real anatomy, and masks that are known all the same."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import SimpleITK as sitk
from scipy import ndimage

from covid_study.ct.consolidation import so_far
from covid_study.ct.volume import HU_RANGE, Volume
from covid_study.phantom import cohort, lesions as phantom_lesions, raster
from covid_study.phantom.noise import noise_of
from covid_study.phantom.real_bodies import Bodies, Body, load_body
from covid_study.phantom.scanner import planes_of

STRETCH = 0.05  # how much wider or narrower, longer or shorter a patient becomes at most
TURN_DEGREES = 2.0  # SD of how a patient lies from exam to exam
BEND_MM, NODES = 2.5, (4, 5, 5)  # SD of the bending within a slice, and its nodes along z, y, x
NOISE_HU, SHARP = 12.0, 0.4  # added to what the scan has; see `noise.noise_of`
GRAIN_HU = 80.0  # what stands out more than this from its surroundings is a vessel or a wall, not noise
EDGE = 0.4, 0.7  # share of a voxel that is ill: a lesion begins, as in the phantom, and shows in full
FAINT_HU = -100.0  # lesions below it are lung that still holds air
POINTS_MM = 7.0


@dataclass(frozen=True)
class RealBodied(cohort.PhantomExam):
    """A synthetic exam in a real body, and the same exam before it fell ill, int16 HU."""

    before: np.ndarray


@dataclass(frozen=True)
class Thorax:
    """Of real lungs what `lesions.draw_lesions` asks of an anatomy; mm in the phantom's axes."""

    half_width: float
    half_depth: float
    height: float
    points: np.ndarray  # (n, 3) x, y, z
    depth: np.ndarray
    lobe: np.ndarray


def make_exam(exam_id: str, seed: int, body: Body) -> RealBodied:
    """One synthetic exam in a real body, from (seed, exam id, body) alone.

    The phantom's kinds of case (paper A, section III) drawn and painted by the phantom's own code, on lungs that
    `lungs.lung_mask` found: where that mask errs, so does the truth about the lungs.

    Choice: each patient is stretched and bent a little, each exam turned and given noise of its own; nothing is mirrored, for
    a heart on the right would be no real anatomy.

    Choice: HU changes only where the truth says lesion: the faint fringe that the phantom's lesions have around their mask
    is left out. Vessels and all else that is denser than the lesion stay as they are and belong to it, as in the phantom.

    Raises:
        StudyError: the id is none of the phantom's.
    """
    kind = cohort.kind_of(exam_id, seed)
    patient = exam_id[:-2]
    hu, lungs, spacing = deformed(
        body, cohort.generator(seed, "body", patient), cohort.generator(seed, "turn", exam_id)
    )
    rng = cohort.generator(seed, "lesions", exam_id)
    ill, lesions = with_lesions(hu, lungs, spacing, kind, rng)
    rng = cohort.generator(seed, "noise", exam_id)
    noise, unit = noise_of(rng, hu.shape, SHARP, *spacing[:2])
    noise *= np.float32(unit * NOISE_HU * rng.uniform(0.7, 1.3))
    before, after = (np.rint(np.clip(v + noise, *HU_RANGE)).astype(np.int16) for v in (hu, ill))
    protocol = body.volume.protocol | {"pixel_spacing_mm": spacing[1], "centre": ""}
    return RealBodied(Volume(after, spacing, protocol), lungs, lesions, kind, before)


def examples(exams: pd.DataFrame, bodies: Bodies, seed: int) -> list[tuple[str, str, RealBodied]]:
    """One exam of each kind of case that has lesions: (caption, finding, exam), for `cohort.before_and_after`.

    Args:
        exams: the cohort, with exam_id, finding and split. bodies: of this cohort. seed: of the phantom.
    """
    found: dict[str, tuple[str, str, RealBodied]] = {}
    for row in exams.sort_values("exam_id").itertuples():
        kind = cohort.kind_of(row.exam_id, seed)
        if kind != "clean" and kind not in found:
            body = bodies.of(row.exam_id, row.split)
            made = make_exam(row.exam_id, seed, load_body(body.folder))
            found[kind] = f"{row.exam_id}\n{kind}, in {body.exam_id}", row.finding, made
    return [found[kind] for kinds in phantom_lesions.KINDS.values() for kind in kinds if kind in found]


def deformed(
    body: Body, of_patient: np.random.Generator, of_exam: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float]]:
    """The body of another patient: HU float32, lungs bool (both z, y, x), spacing mm.

    Choice: stretching changes the voxels' size, bending and turning stay within the slice, so that thick slices are not mixed.
    """
    spacing = body.volume.spacing_mm
    long, wide = of_patient.uniform(1 - STRETCH, 1 + STRETCH, 2)
    nodes = of_patient.normal(0, BEND_MM, (2, *NODES))
    shape, fine = np.array(body.lungs.shape), (12, 24, 24)
    bend = np.zeros((*fine, 3))
    for axis in (0, 1):
        zoomed = ndimage.zoom(nodes[axis], np.array(fine) / NODES, order=3, grid_mode=True, mode="nearest")
        bend[..., axis] = zoomed
    field = sitk.GetImageFromArray(bend, isVector=True)
    field.SetSpacing([float(n * s / f) for n, s, f in zip(shape, spacing, fine, strict=True)][::-1])
    field.SetOrigin([float(n * s / f - s) / 2 for n, s, f in zip(shape, spacing, fine, strict=True)][::-1])
    centre = ndimage.center_of_mass(body.lungs) * np.array(spacing)
    turn = sitk.Euler3DTransform()
    turn.SetCenter([float(c) for c in reversed(centre)])
    turn.SetRotation(0.0, 0.0, float(np.deg2rad(of_exam.normal(0, TURN_DEGREES))))
    way = sitk.CompositeTransform([turn, sitk.DisplacementFieldTransform(field)])
    hu = _moved(body.volume.hu.astype(np.float32), spacing, way)
    lungs = _moved(body.lungs.astype(np.float32), spacing, way) >= 0.5
    return hu, lungs, (spacing[0] * long, spacing[1] * wide, spacing[2] * wide)


def _moved(volume: np.ndarray, spacing, way: sitk.Transform) -> np.ndarray:
    image = sitk.GetImageFromArray(volume)
    image.SetSpacing([float(s) for s in reversed(spacing)])
    # the last argument: beyond the scan its edge goes on
    done = sitk.Resample(image, image, way, sitk.sitkLinear, 0.0, sitk.sitkFloat32, True)
    return sitk.GetArrayFromImage(done)


def with_lesions(
    hu: np.ndarray,
    lungs: np.ndarray,
    spacing: tuple[float, float, float],
    kind: str,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """The same HU with lesions of one kind of case, float32, and where they are, bool (both z, y, x).

    Choice: ground glass departs from the lung at hand as far as the phantom's departs from its own. The noise of the scan
    stays inside a lesion; without it, smoothness would give lesions away.

    Choice: the fissures of a real exam are not looked for; consolidation keeps to the phantom's planes between lobes.
    """
    (box,) = ndimage.find_objects(lungs.astype(np.uint8))
    inside, part = lungs[box], np.asarray(hu[box], np.float32)
    thorax, corner = measure(inside, spacing, rng)
    rows = phantom_lesions.draw_lesions(thorax, kind, rng)
    smooth = ndimage.median_filter(part, (1, 3, 3))
    grain = np.clip(part - smooth, -GRAIN_HU, GRAIN_HU)
    faint = (rows[:, 9] > raster.PARENCHYMA) & (rows[:, 9] < FAINT_HU)
    rows[faint, 9] += np.median(part[inside]) - raster.PARENCHYMA
    # a hole spares vessels and walls; all else is never thinner than what it replaces, which spares them too
    open_lung = inside & (smooth < np.median(part[inside]) + GRAIN_HU) if kind == "emphysema" else inside
    painted, burden = part - grain, np.zeros(part.shape, np.float32)
    field = rng.uniform(-1, 1, (32, 32, 32)).astype(np.float32)
    sizes = np.array([thorax.half_depth, thorax.height])
    nowhere = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0)  # the patient's axes are the scanner's
    raster.paint_lesions(
        painted,
        open_lung.astype(np.float32),
        burden,
        rows,
        field,
        corner,
        spacing,
        planes_of(spacing[0]),
        nowhere,
        sizes,
    )
    lesions = np.zeros(lungs.shape, bool)
    lesions[box] = (burden > EDGE[0]) & inside
    shown = np.clip((burden - EDGE[0]) / (EDGE[1] - EDGE[0]), 0, 1)
    result = np.array(hu, np.float32)
    result[box] += np.where(lesions[box], shown * (painted - (part - grain)), 0)
    return result, lesions


def measure(
    lungs: np.ndarray, spacing: tuple[float, float, float], rng: np.random.Generator
) -> tuple[Thorax, tuple[float, float, float]]:
    """The phantom's measures of real lungs that fill a box, and the place of the first voxel in its axes: mm (z, y, x).

    Depth is counted from the chest wall, which is the edge of the lungs and of what lies between them, or from their base.

    >>> lungs = np.zeros((20, 30, 40), bool)
    >>> lungs[:, :, :15] = lungs[:, :, 25:] = True
    >>> thorax, corner = measure(lungs, (10.0, 6.0, 6.0), np.random.default_rng(0))
    >>> thorax.half_width, thorax.height, corner, bool((abs(thorax.points[:, 0]) > 20).all())
    (120.0, 200.0, (5.0, -87.0, -117.0), True)
    """
    size = [float(n * s) for n, s in zip(lungs.shape, spacing, strict=True)]
    corner = (0.5 * spacing[0], 0.5 * (spacing[1] - size[1]), 0.5 * (spacing[2] - size[2]))
    step = max(1, int(3.0 / spacing[1]))  # depth in mm needs no finer grid
    coarse, wide = lungs[:, ::step, ::step], np.array(spacing) * (1, step, step)
    thick = np.zeros((len(coarse), *np.add(coarse.shape[1:], 2)), bool)
    thick[:, 1:-1, 1:-1] = _outline(coarse)
    wall = ndimage.distance_transform_edt(thick, sampling=wide)[:, 1:-1, 1:-1]
    base = (np.arange(len(coarse))[:, None, None] - coarse.argmax(0) + 0.5) * spacing[0]
    every = [np.arange(rng.uniform(0, POINTS_MM), length, POINTS_MM) for length in size]
    points = np.stack(np.meshgrid(*every, indexing="ij"), -1).reshape(-1, 3)
    points = np.clip(points + rng.uniform(-3, 3, points.shape), 0, size)
    at = tuple((points / wide).astype(int).T)
    at = tuple(np.minimum(n, length - 1) for n, length in zip(at, coarse.shape, strict=True))
    kept = coarse[at]
    depth = np.minimum(wall[at], 0.8 * base[at])[kept]
    places = (points[kept] - 0.5 * np.array(spacing) + corner)[:, ::-1]
    half_depth, height = size[1] / 2, size[0]
    lobes = raster.lobes(np.ascontiguousarray(places), half_depth, height)
    return Thorax(size[2] / 2, half_depth, height, places, depth, lobes), corner


def _outline(lungs: np.ndarray) -> np.ndarray:
    """What lies between the two lungs in each row and each column of a slice, and they: bool (z, y, x)."""
    result = lungs.copy()
    for axis in (1, 2):
        result |= so_far(lungs, axis) & so_far(lungs, axis, reverse=True)
    return result
