"""A page of a notebook that has these cells."""

from nbformat.v4 import new_notebook

from covid_study.study import pages

PAGE = {"title": "T", "subtitle": "s", "headline": "H.", "previous": None, "next": None}


def rendered(*cells, **page):
    return pages.render(new_notebook(cells=list(cells)), PAGE | page)
