"""Made-up measurements of how much a ranking depends on its order."""

import numpy as np
import pandas as pd


def planted(shuffles_rho=(0.5, 0.7, 0.6), variant_rho=0.4, negatives=160):
    shuffles = pd.DataFrame(
        {"shuffled": s, "track": t, "order": k, "rho": 1.0 if (s, t) == ("positives", "difficulty") else r, "kept": r}
        for s in ("channels", "positives", "both")
        for t in ("difficulty", "diversity", "joint")
        for k, r in enumerate(shuffles_rho)
    ).assign(selected=90, negatives=negatives, positives=60)  # fmt: skip
    variants = pd.DataFrame(
        {"variant": v, "track": t, "rho": 1.0 if v == "listed" else variant_rho, "kept": 0.75,
         "change": 0.3 if v == "listed" else np.nan if t == "joint" else 2e-16}
        for v in ("listed", "channels", "positives", "both")
        for t in ("difficulty", "diversity", "joint")
    ).assign(selected=37, negatives=66, positives=60, programmes=7875, seconds=12.34, seconds_whole=3210.0)  # fmt: skip
    return shuffles, variants
