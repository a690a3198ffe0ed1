"""What a page is made of: tables, words, the reading guide.

Read `show` (tables), `say` (what a notebook tells the index page), `guide` and `paper_map`.
"""
