"""From a file to Hounsfield units, to lungs, to what a network sees.

Read `volume`, then `files`, `announced` and `dicom` (exams) and `pictures` (slices that lie on disk as images), `lungs` with
`consolidation`, then `to_volume` (paper A, IV-F2) and `to_slice` (paper B, 3.1).
"""

from covid_study import handed_on

__getattr__ = handed_on(__name__, lung_mask="lungs", read_volume="files", read_image="pictures")
