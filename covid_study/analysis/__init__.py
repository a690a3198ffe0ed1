"""What is asked beyond the tables.

Each module answers one question: `ranking_meaning` whether a ranking means anything, `cam` where a network looks, and so on.
"""
