"""The commands of `covid-study`."""
