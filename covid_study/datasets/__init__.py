"""The public data sets: what each is, is it there and whole, where does it come from.

Read `catalogue`, then `check` and `fetch`; `covid-study datasets` is their command.
"""
