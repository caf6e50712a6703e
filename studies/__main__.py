"""`make learn`: run studies by name or prefix (all by default) and report whether they pass.

python -m studies                          every seed without results, of every study
python -m studies vae-mnist --seeds 0,1    chosen seeds, in this process
python -m studies vae-mnist --again        run again although results exist
python -m studies --list                   list the studies and the number of seeds run
"""

from __future__ import annotations

import importlib
import sys

from studies.study import Study, data_folder

MODULES = (
    "likelihood",
    "reconstruction",
    "adversarial",
    "divergences",
    "hacks",
    "comparison",
    "pyramids",
    "digits",
    "translation",
    "super_resolution",
    "clips",
    "tables",
    "gaps",
)
FLAGS = ("--seeds", "--again", "--list", "--help")


def load_studies() -> dict[str, Study]:
    """Every study, by name."""
    return {
        study.name: study
        for module in MODULES
        for study in importlib.import_module(f"studies.{module}").STUDIES
    }


def main(words: list[str]) -> int:
    """The exit status: 0 if every study run met its targets, 1 if not, 2 for an unknown name."""
    unknown = [w for w in words if w.startswith("-") and w not in FLAGS]
    if unknown or "--help" in words:
        wrong = f"there is no {unknown[0]}\n" if unknown else ""
        print(f"{wrong}{__doc__}", file=sys.stderr if unknown else sys.stdout)
        return 2 if unknown else 0
    again, listing = "--again" in words, "--list" in words
    seeds = next((words[i + 1] for i, w in enumerate(words[:-1]) if w == "--seeds"), None)
    names = [w for w in words if not w.startswith("--") and w != seeds]
    every = load_studies()
    studies = [
        s
        for n, s in every.items()
        if not names or n in names or any(w not in every and n.startswith(w) for w in names)
    ]
    if not studies:
        print(
            f"no study begins with {' or '.join(names)}; available: {', '.join(every)}",
            file=sys.stderr,
        )
        return 2
    if listing:
        for study in studies:
            print(
                f"{study.name:24} {len(study.completed_seeds())} of {study.seeds} seeds run  "
                f" {study.description}"
            )
        return 0
    folder, failed = data_folder(), False
    for study in studies:
        if study.needs and (folder is None or not (folder / study.needs).is_dir()):
            print(
                f"{study.name}: skipped, it needs {study.needs} in the folder that PUSHFORWARD_DATA"
                " names"
            )
            continue
        print(f"{study.name} …", flush=True)
        record = study.run_seeds(
            [int(s) for s in seeds.split(",")] if seeds else range(study.seeds), again
        )
        for name, value in record["median"].items():
            low, high = record["spread"][name]
            target = f"   target: {record['targets'][name]}" if name in record["targets"] else ""
            print(f"  {name:32} {value:.4g} ({low:.4g} to {high:.4g}){target}")
        print(
            f"  {'passed' if record['passed'] else 'FAILED'}, {len(record['seeds'])} seeds",
            flush=True,
        )
        failed |= not record["passed"]
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
