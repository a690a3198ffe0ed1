"""What a page is made of: tables, words, the reading guide.

Read `words` (names of rows, columns, scores), `show` (tables), `beside_paper` (ours beside the paper's), `results` (the same
as data), `decided` (verdicts in words), `say` (what a notebook tells the index page), then `guide` (the paper map, decisions).
"""
