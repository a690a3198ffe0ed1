"""Which exams and slices there are: their tables, findings and splits. No pixel is read here.

Read `exams` and `slices` (the two tables and their checks), `findings` (classes and outputs) with `finding_names` (how people
write them), `splits` (by patient), `folders` (links, what is passed over), `copies` (the same file twice) and `bad_exams`
(how they are told), then how cohorts lie on disk: `exam_layouts` (`find_exams`), `picture_layouts` (`find_images`) with
`public_pictures` and `covidx_ct`; `file_kinds` and `csv_files` help them.
"""

from covid_study import handed_on

__getattr__ = handed_on(__name__, find_exams="exam_layouts", find_images="picture_layouts")
