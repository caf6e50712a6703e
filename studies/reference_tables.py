"""Samples of other libraries' models of tables, drawn in an environment of their own.

`make .venv-tables/.installed` builds it: ctgan needs an older pandas, arfpy an older NumPy than the
project.

python reference_tables.py MODEL TRAIN.parquet OUT.parquet '["categorical", "columns"]' SEED
"""

from __future__ import annotations

import json
import random
import sys
import time
import warnings
from typing import Any

import numpy as np
import pandas
import torch

Frame = Any


def ctgan(train: Frame, categories: list[str]) -> Frame:
    """CTGAN of the library ctgan, with its defaults: 300 epochs, batches of 500."""
    from ctgan import CTGAN

    model = CTGAN(enable_gpu=False)
    model.fit(train, categories)
    return model.sample(len(train))


def tvae(train: Frame, categories: list[str]) -> Frame:
    """TVAE of the library ctgan, with its defaults: 300 epochs, batches of 500."""
    from ctgan import TVAE

    model = TVAE(enable_gpu=False)
    model.fit(train, categories)
    return model.sample(len(train))


def arf(train: Frame, categories: list[str]) -> Frame:
    """Adversarial random forests (Watson et al. 2023) of arfpy, with its defaults."""
    from arfpy import arf as forests

    model = forests.arf(x=train, verbose=False)
    model.forde()
    return model.forge(n=len(train))


def smote(train: Frame, categories: list[str]) -> Frame:
    """Points between neighbouring rows, as TabDDPM's authors compare with: nearly copies.

    imbalanced-learn's SMOTE(NC) as if all rows were the rare class.
    """
    from imblearn.over_sampling import SMOTE, SMOTENC

    n = len(train)
    far = train.sample(2 * n, replace=True, random_state=0)
    x = pandas.concat([train, far], ignore_index=True)
    y = [1] * n + [0] * 2 * n
    kind = SMOTENC(categories, random_state=0) if categories else SMOTE(random_state=0)
    made, _ = kind.fit_resample(x, y)
    return made.iloc[3 * n :].reset_index(drop=True)


MODELS = {"ctgan": ctgan, "tvae": tvae, "arf": arf, "smote": smote}


def main(words: list[str]) -> None:
    """Fit, sample, write; print the CPU seconds of both."""
    name, source, target, categories, seed = words
    warnings.simplefilter("ignore")
    random.seed(int(seed))
    np.random.seed(int(seed))
    torch.manual_seed(int(seed))
    train = pandas.read_parquet(source)
    begun = time.process_time()
    made = MODELS[name](train, json.loads(categories))
    seconds = time.process_time() - begun
    made[list(train.columns)].to_parquet(target)
    print(json.dumps({"cpu_seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1:])
