"""The synthetic cohort: chest CT with known lungs and lesions, what the study runs on without data of its own.

Read `cohort` (an exam from its name), then `patient` with `organs` and `vessels`, `lesions`, `scanner`, `raster`, `noise`;
lesions in real bodies: `real_bodies` and `background`.
"""
