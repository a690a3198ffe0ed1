#!/bin/sh
# Builds .venv from requirements.lock; called by the Makefile, in the project's root. Nothing but Python is needed.
set -eu

python=$(command -v python3.11 || command -v python3 || true)
if [ -z "$python" ]; then
    echo "No Python 3 was found. Install Python 3.11 (Debian: apt-get install python3.11 python3.11-venv)." >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "$python is $("$python" -V): Python 3.11 or newer is needed. Install it, or name one: make PYTHON=..." >&2
    exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "$python cannot make virtual environments: its venv module is missing." >&2
    echo "Debian keeps it in a package of its own: apt-get install $(basename "$(readlink -f "$python")")-venv" >&2
    exit 1
fi

quiet=$([ -t 1 ] || echo -qq) # its progress is for a person, not for a log
echo "Building .venv from requirements.lock with $("$python" -V): some minutes, once."
rm -f .venv/.complete # first, so that a build cut short is never taken for a whole one
"$python" -m venv --clear .venv
# The lock names every package but those for GPUs: nothing is looked for beside it, and nothing compiled on one core that
# a later line compiles on all.
.venv/bin/python -m pip install $quiet --disable-pip-version-check --no-deps --no-compile --requirement requirements.lock ||
    { echo "The packages could not be installed: see above; is the network there? Then run the same command again." >&2; exit 1; }
# What the build of torch for GPUs needs is in no lock, for that for CPUs has no use for it: there this does nothing.
.venv/bin/python -m pip install $quiet --disable-pip-version-check --no-compile --constraint requirements.lock torch ||
    { echo "What torch needs for GPUs could not be installed: see above. Then run the same command again." >&2; exit 1; }
# Editable, so that an edited module counts at once; with the build tool just installed, so that nothing is fetched.
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
.venv/bin/python -m compileall -q -j 0 .venv/lib covid_study >/dev/null 2>&1 || true # some packages ship files for other Pythons
cp requirements.lock .venv/.complete.new
mv .venv/.complete.new .venv/.complete
echo "The environment is ready."
