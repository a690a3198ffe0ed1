"""Which negatives to train on: distances, difficulty, diversity, and selections drawn from their rank (paper A, IV-C to E).

Read `emd` (eq. 3 and 4) with its four ways `emd_partial`, `emd_balanced`, `emd_ground` and `blocks`, then `chords` (cosine and
Hellinger in its place), `rank` (eq. 5 to 8), `some_others` (eq. 6 of a large archive), `order_free`, `sampling`, `strata`.
`archive` is all of it for a file of features (`feature_table`), `under_sampler` is all of it as a part of imbalanced-learn.
"""

from covid_study import handed_on

__getattr__ = handed_on(
    __name__,
    rank_negatives="rank",
    soft_labels="rank",
    select="sampling",
    pairwise_emd="emd",
    mean_emd_to_others="emd",
    DualTrackUnderSampler="under_sampler",
    RivalUnderSampler="under_sampler",
)
