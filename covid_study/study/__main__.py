"""`python -m covid_study.study`."""

import sys

from covid_study.study.reproduce import main

if __name__ == "__main__":
    sys.exit(main())
