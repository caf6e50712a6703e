from pushforward.experiments.experiment import Experiment as Experiment
from pushforward.experiments.experiment import Outcome as Outcome
from pushforward.experiments.experiment import fit_model as fit_model
from pushforward.experiments.opened import OpenedRun as OpenedRun
from pushforward.experiments.opened import open_run as open_run
from pushforward.experiments.resuming import resume as resume
from pushforward.experiments.table_quality import TableReport as TableReport
from pushforward.experiments.table_quality import compare_tables as compare_tables
