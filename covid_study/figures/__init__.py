"""Data frames in, figures out.

Read `charts`, then the figures of each subject.
"""
