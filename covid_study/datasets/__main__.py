"""`python -m covid_study.datasets`."""

import sys

from covid_study.datasets.command import main

if __name__ == "__main__":
    sys.exit(main())
