"""Which exams and slices there are: their tables, findings and splits. No pixel is read here.

Read `exams` and `slices` (the two tables and their checks), `findings` (classes and outputs), `splits` (by patient), then
`file_kinds`, and how cohorts lie on disk: `exam_layouts`, `picture_layouts`, `covidx_ct`, `official_lists`.
"""
