"""Imports jsonschema without a grammar that it would build (2.5 s of every kernel); to be imported before MONAI and nbformat.

Both import jsonschema, which imports `rfc3987_syntax` where that is installed, to check strings of format "iri": nobody here
has any. jsonschema does without where it cannot import it, and it cannot just while jsonschema is imported here.
"""

import sys
from contextlib import suppress

GRAMMAR = "rfc3987_syntax"

if "jsonschema" not in sys.modules and GRAMMAR not in sys.modules:
    sys.modules[GRAMMAR] = None  # type: ignore[assignment]  # Python's way to say that a module cannot be imported
    with suppress(ImportError):  # an environment of less may lack jsonschema
        import jsonschema  # noqa: F401
    del sys.modules[GRAMMAR]
