"""Experiments, shared by Python and commands.

An experiment has a model, rows, a fitter and measurements.

An `Experiment` specifies the rows (a source, how it is read, which rows are held out, whether
integers are dequantised), the model with its hyper-parameters, the fitter with its settings, and
the run to take initial weights from. `run` reads the rows, splits them, fits by `Model.fit`,
measures the model on the held-out rows, and writes a run folder. `pushforward fit` builds an
`Experiment` from its arguments and runs it; the command line does nothing that affects a number.

What a run folder holds
-----------------------
* `run.json`: the manifest (`core.manifest.Manifest`), all that is needed to find the rows again, to
  go on with the fit, or to do it again. The fitter writes it, so a fit from Python,
  `model.fit(x, by=Trainer(run=...))`, leaves the same file as a command.
* `model.json`, `model.safetensors`: the fitted model, all that `pushforward.load` needs.
* `log.jsonl`, `state/`: the events of the fit, and the checkpoints it goes on from.
* `README.md`, `images/`: the model card and what it shows;
  written where an experiment was run as a whole.

How rows are found again
------------------------
A source that was read from a path or a name knows where it came from (`core.provenance.Provenance`:
the path, the arguments of `read`, the share and seed of a `split`). `Model.fit` keeps that, the
fitter writes it down with a fingerprint of the rows, and `OpenedRun.parts` reads and splits them
again, refusing others. Rows that were in memory cannot be found again: the run says so, and a
source given in its place (`source=`, for resume and evaluate) is taken if its rows have that
fingerprint. The same way a run goes on upon another machine, where its data lie elsewhere.

Modules
-------
* `experiment`: what is fitted to what, and running it; `fitters`:
  the model's own fitter with settings of an experiment.
* `opened`: a run opened again; `resuming`: going on with one;
  `sections`: its settings as flags and files name them.
* `settings`, `configuration`: all that can be set in a fit, and where its values come from.
* `measure`, `sample`, `compare`, `evaluation`: held-out quantities, samples beside data, sets of
  samples against each other, and runs side by side.
* `table_quality`, `table_findings`, `table_rows`, `table_verdicts`, `table_page`, `table_columns`:
  whether a synthetic table is like the real one, useful and safe; as records, in sentences, and as
  a page.
* `views`, `latent_views`, `films`: figures of a model, of its codes, and of its fit.
* `sampling`, `codes`, `reconstructions`, `projections`, `densities`, `clusters`, `conditionals`:
  what a model says of rows, or makes without any; each a function of an `OpenedRun` whose value
  holds numbers and, where it has one, their table.
* `card`, `images`: what a run shows of itself.

`Model.fit` lies below, in `core`, and so cannot make an `Experiment`: it is the step that an
experiment takes, not the other way round. What both share, the rows' provenance and the manifest,
therefore lies in `core`, and the fitters write it.

Names load on first use; `__init__.pyi` lists them.
"""

from __future__ import annotations

from pushforward.core.lazy import lazy

__all__, __getattr__, __dir__ = lazy(
    __name__,
    {
        "experiment": ["Experiment", "Outcome", "fit_model"],
        "opened": ["OpenedRun", "open_run"],
        "resuming": ["resume"],
        "table_quality": ["TableReport", "compare_tables"],
    },
)
