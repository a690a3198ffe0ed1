# The only entry of the project: `make` alone prints what can be asked.

PROFILE ?= demo
ifneq ($(filter environment%,$(origin NAME)),)
NAME := # some systems keep the machine's name in a variable called NAME: only `make ... NAME=` counts
endif

# Which Python: PYTHON=... where given, else an active conda environment (its `base` aside), else .venv, made here.
ifdef PYTHON
PY := $(PYTHON)
else ifneq ($(and $(CONDA_PREFIX),$(filter-out base,$(or $(CONDA_DEFAULT_ENV),active))),)
PY := $(CONDA_PREFIX)/bin/python
else
PY := .venv/bin/python
ENV := .venv/.complete
endif
# Python itself writes byte code, notebook kernels included: without it each start-up costs seconds more.
unexport PYTHONDONTWRITEBYTECODE
# Threads of a training that wait for each other give way soon: beside two other busy programs on two cores a step took
# 2.8 s instead of 0.03, and takes 0.08 like this; on a quiet machine no difference was measured.
export GOMP_SPINCOUNT ?= 10000
export PYTHONPATH := $(CURDIR)$(if $(PYTHONPATH),:$(PYTHONPATH))

# make passes what follows `=` on; quoted here so that a path may hold spaces
quoted = '$(subst ','\'',$(1))'
option = $(if $($(2)),--$(1) $(call quoted,$($(2))))
STUDY = $(call quoted,$(PY)) -m covid_study reproduce --profile $(call quoted,$(PROFILE)) \
	$(call option,exams,EXAMS) $(call option,data,DATA) $(call option,device,DEVICE) $(call option,executor,EXECUTOR) $(call option,processes,PROCESSES) \
	$(call option,kernel,KERNEL) $(call option,name,NAME) $(call option,notebooks,NOTEBOOKS) $(call option,set,SET)

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help env reproduce verify reference compare test coverage faults kills fuzz audit dist lab bench clean check-env

help: # the text below, between the two marks
	@sed -n '/^## help$$/,/^## end$$/{/^## /d;s/^# \{0,1\}//;p;}' $(firstword $(MAKEFILE_LIST))
## help
# covid-study: train a classifier for a new disease from few positives and a large archive of negatives
#
# Targets
#   make reproduce   run the notebooks in order, on a CPU two at a time, write reports/<name>/index.html
#                    What is already done and still true is not done again; stopped at any moment, it goes on.
#                      make reproduce
#   make verify      look whether what a run left still holds: the hash of every file, a sample of the tables from the
#                    stored predictions, and with what it was made
#                      make verify PROFILE=smoke
#   make reference   keep what a run said, or some of its notebooks, without its pictures, in reports/reference/<name>/, to
#                    be committed and shown beside other runs
#                      make reference PROFILE=laptop
#   make compare     two runs side by side: what changed in parameters, code, data and environment, and what it did to every
#                    claim and every cell of a table; into reports/compare-A-B.html
#                      make compare A=smoke B=reference/laptop
#   make lab         open JupyterLab to read, edit and re-run the notebooks; 01, 03, 10 and 12 have sliders there
#                      make lab
#   make test        style, unit tests, the examples in the docstrings, every notebook at the smoke profile
#                      make test
#   make faults      plant each of the faults listed in tests/faults.yaml in a copy of the code and see that a test fails
#                    (a quarter of a minute each); FAULTS holds options of tests/faults.py
#                      make faults FAULTS="--only ranking --jobs 2"
#   make coverage    the unit tests once more, slower, with the lines that none of them reaches
#                      make coverage
#   make fuzz        feed every reader damaged inputs (an hour and more); nothing but an error for people may come out. FUZZ
#                    holds options of fuzz/run.py; with `pip install atheris` the search is led by the code that is reached
#                      make fuzz FUZZ="--target nifti dicom --runs 20000"
#   make audit       ask the Python Package Index whether a package of the lock has a known weakness; needs the network
#                      make audit
#   make dist        build a wheel into dist/, with notebooks and profiles in it, and try it in a folder of its own
#                      make dist
#   make kills       kill the study at random moments, fifty times (the smoke profile; half an hour), and see that its results
#                    are those of a run that nobody disturbed; KILLS holds options of tests/kills.py
#                      make kills KILLS="--number 5 --notebooks 00,01"
#   make bench       measure the earth mover's distances beside POT and SciPy, then training beside what a MONAI user
#                    would write (minutes each; into benchmarks/results), then run a profile from nothing in a folder
#                    of its own and print how long each notebook takes; where BENCH asks for it, our selections beside
#                    imbalanced-learn's
#                      make bench
#   make env         only build the environment; every other target does so by itself
#                      make env
#   make clean       delete what was computed (build/ and reports/), or one folder of it; never your exams
#                      make clean NAME=trial
#   make help        this text
#                      make
#
# Variables
#   PROFILE    smoke, demo (the default), laptop, gpu, paper, or your own params/<profile>.yaml
#                      make reproduce PROFILE=laptop
#   EXAMS      your exams: a CSV exam table, the folder of a public data set, or a folder of folders named by
#              finding (covid, cap, non_pneumonia, other). Without it: a synthetic cohort
#                      make reproduce PROFILE=smoke EXAMS=data/my-exams
#   DATA       slice images for paper B (notebooks 09 on): the folder of a public data set, a folder with a folder for each class,
#              or a CSV with the columns path, finding[, patient_id, split]. Without it: slices of the exams
#                      make reproduce DATA=data/images NAME=my-images NOTEBOOKS=09,10,11,12,13,14
#   DEVICE     auto (the default), cpu, cuda, cuda:1, mps
#                      make reproduce DEVICE=cuda:1
#   EXECUTOR   where distances and trainings are done: in_process (the default), dask (a local cluster), or the address of
#              a running Dask scheduler
#                      make reproduce EXECUTOR=tcp://10.0.0.1:8786
#   PROCESSES  that train each network together, one a GPU; the results are those of one. For long trainings: each
#              takes some seconds to start. Not together with EXECUTOR. On several machines: set COVID_STUDY_LAUNCHER
#              to what starts torchrun on them (see covid_study/training/processes.py)
#                      make reproduce PROFILE=paper PROCESSES=4
#   BENCH      what `make bench` measures: emd, training, selection, study; the default is all but selection, which is long
#                      make bench BENCH=emd
#                      make bench BENCH=training DEVICE=cpu
#                      make bench BENCH=selection
#                      make bench BENCH=study PROFILE=smoke
#   NAME       folder below build/ and reports/; the default is the profile's name
#                      make reproduce EXAMS=data/my-exams NAME=my-exams
#   NOTEBOOKS  only some notebooks
#                      make reproduce NOTEBOOKS=03,04
#   SET        other values than the profile's, section.key=value, apart by spaces
#                      make reproduce SET="training.epochs=2 ranking.mass=normalised" NAME=trial
#   A          one of the two runs of make compare: its NAME, or reference/<name>
#   B          the other
#                      make compare A=demo B=trial
#   KERNEL     a Jupyter kernel to run them with; the default is this environment's own
#                      make reproduce KERNEL=python3
#   PYTHON     use this interpreter and its packages instead of .venv; an active conda environment is also
#              used (not its base), see environment.yml
#                      make reproduce PYTHON=/opt/env/bin/python
#   FUZZ       options of fuzz/run.py
#                      make fuzz FUZZ="--seconds 60"
#   FAULTS     options of tests/faults.py
#                      make faults FAULTS="--only losses --named"
#   KILLS      options of tests/kills.py
#                      make kills KILLS="--seed 3 --keep"
#   LAB        further options of JupyterLab
#                      make lab LAB="--no-browser --port 8899"
## end

env: $(ENV) check-env
	@echo "The environment is ready: $(PY)"

reproduce: $(ENV) check-env
	@$(STUDY)

.PHONY: bench-emd bench-training bench-selection bench-study
bench: $(addprefix bench-,$(or $(BENCH),emd training study))

bench-emd: $(ENV) check-env
	@$(call quoted,$(PY)) benchmarks/emd.py $(call option,device,DEVICE)

bench-training: $(ENV) check-env
	@$(call quoted,$(PY)) benchmarks/training.py --paper --scores $(call option,device,DEVICE)

bench-selection: $(ENV) check-env
	@$(call quoted,$(PY)) benchmarks/selection.py

# in a folder of its own: never one that holds results
bench-study: override NAME := bench-$(or $(NAME),$(PROFILE))
bench-study: $(ENV) check-env
	@rm -rf -- build/$(call quoted,$(NAME)) reports/$(call quoted,$(NAME))
	@$(STUDY)
	@$(STUDY) --times

verify: $(ENV) check-env
	@$(STUDY) --verify

compare: $(ENV) check-env
	@$(call quoted,$(PY)) -m covid_study compare $(if $(A),$(call quoted,$(A))) $(if $(B),$(call quoted,$(B)))

lab: $(ENV) check-env
	@$(call quoted,$(PY)) -m jupyterlab --ServerApp.root_dir=. $(if $(KERNEL),--MultiKernelManager.default_kernel_name=$(KERNEL)) \
		$$([ "$$(id -u)" = 0 ] && echo --allow-root) $(LAB)

# One thread a process: tests are small, and threads that wait for each other cost more than they give. Two notebooks at a
# time, handed out in order; what both need is computed by one while the other waits for it (runtime/artefacts.py).
SIDE_BY_SIDE = OMP_NUM_THREADS=1 $(call quoted,$(PY)) -m pytest -q
test: $(ENV) check-env
	@$(call quoted,$(PY)) -m ruff check .
	@$(call quoted,$(PY)) -m ruff format --check .
	@$(call quoted,$(PY)) -m mypy
	@$(SIDE_BY_SIDE) -n logical --maxprocesses 4 --dist loadscope
	@if ls notebooks/*.ipynb >/dev/null 2>&1; then \
		$(SIDE_BY_SIDE) -p tests.forked_kernels -n 2 --dist loadfile --no-loadscope-reorder \
			--nbval-lax --nbval-current-env --nbval-cell-timeout=300 notebooks/*.ipynb; \
	else echo "notebooks/ is empty: nothing to run there"; fi
	@$(SIDE_BY_SIDE) -n 2 tests/smoke_pages.py

coverage: $(ENV) check-env
	@$(SIDE_BY_SIDE) -n logical --maxprocesses 4 --dist loadscope --cov --cov-report=term

fuzz: $(ENV) check-env
	@$(call quoted,$(PY)) fuzz/run.py $(FUZZ)

audit: $(ENV) check-env
	@$(call quoted,$(PY)) -m pip_audit --strict --no-deps --disable-pip --requirement requirements.lock

dist: $(ENV) check-env
	@$(call quoted,$(PY)) tests/release.py dist

faults: $(ENV) check-env
	@$(call quoted,$(PY)) tests/faults.py $(FAULTS)

kills: $(ENV) check-env
	@$(call quoted,$(PY)) tests/kills.py $(KILLS)

reference: $(ENV) check-env
	@$(STUDY) --reference

clean:
	$(if $(filter reference reference/%,$(NAME)),$(error reports/reference is kept by git: give another NAME))
	rm -rf -- build/$(call quoted,$(NAME)) $(if $(NAME),reports/$(call quoted,$(NAME)),$(filter-out reports/reference,$(wildcard reports/*)))
	$(if $(NAME),,rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage dist covid_study.egg-info)

# An interpreter of the user's own: say what it lacks before a notebook does.
check-env: $(ENV)
ifndef ENV
	@$(call quoted,$(PY)) -m covid_study.study.environment
endif

# `.complete` is a copy of the lock that was installed, written last: a build that was cut short has none.
.venv/.complete: requirements.lock
	@if cmp -s requirements.lock .venv/.complete; then touch .venv/.complete; else sh covid_study/make_venv.sh; fi
