"""Keeps jsonschema from building a grammar (2.5 s of a kernel's start); to be imported before MONAI and nbformat import it.

jsonschema imports `rfc3987_syntax` where that is installed, to check strings of format "iri": nobody here has any, and it does
without where that cannot be imported.
"""

import sys

sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # Python's way to say that it cannot be imported
