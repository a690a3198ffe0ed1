"""`python -m covid_study`, which is `covid-study`."""

from covid_study.cli import main

if __name__ == "__main__":
    main(prog_name="covid-study")
