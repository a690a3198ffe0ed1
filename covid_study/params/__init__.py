"""The parameters of the study: what a profile may hold, and how it is read.

Read `sections` (a model a section, each key with its meaning), then `profiles` (reading, checking, naming what is wrong).
"""
