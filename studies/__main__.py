"""`make learn`: run the studies named, or whose names begin with a word that is no name
(all if none), and say what they reached.

python -m studies                          all seeds of all studies that have no record yet
python -m studies vae-mnist --seeds 0,1    some of them, in this process
python -m studies vae-mnist --again        although they are known
python -m studies --list                   what there is, and what is known
"""

from __future__ import annotations

import importlib
import sys

from studies.study import Study, data_folder

ROOMS = (
    "likelihood",
    "reconstruction",
    "adversarial",
    "divergences",
    "hacks",
    "comparison",
    "digits",
)


def studies() -> dict[str, Study]:
    """All of them by name."""
    return {
        study.name: study
        for room in ROOMS
        for study in importlib.import_module(f"studies.{room}").STUDIES
    }


def main(words: list[str]) -> int:
    """0 if all that was run reached what is asked, 1 if not, 2 for a name that is not known."""
    again, listing = "--again" in words, "--list" in words
    given = next((words[i + 1] for i, w in enumerate(words[:-1]) if w == "--seeds"), None)
    names = [w for w in words if not w.startswith("--") and w != given]
    known = studies()
    chosen = [
        s
        for n, s in known.items()
        if not names or n in names or any(w not in known and n.startswith(w) for w in names)
    ]
    if not chosen:
        print(
            f"no study begins with {' or '.join(names)}; known: {', '.join(known)}", file=sys.stderr
        )
        return 2
    if listing:
        for study in chosen:
            print(
                f"{study.name:24} {len(study.known())} of {study.seeds} seeds known   {study.what}"
            )
        return 0
    folder, missed = data_folder(), False
    for study in chosen:
        if study.needs and (folder is None or not (folder / study.needs).is_dir()):
            print(
                f"{study.name}: skipped, it needs {study.needs} in the folder that PUSHFORWARD_DATA"
                " names"
            )
            continue
        print(f"{study.name} …", flush=True)
        record = study.play(
            [int(s) for s in given.split(",")] if given else range(study.seeds), again
        )
        for name, value in record["median"].items():
            low, high = record["spread"][name]
            asked = f"   asked: {record['asked'][name]}" if name in record["asked"] else ""
            print(f"  {name:32} {value:.4g} ({low:.4g} to {high:.4g}){asked}")
        print(
            f"  {'reached' if record['reached'] else 'NOT REACHED'}, {len(record['seeds'])} seeds",
            flush=True,
        )
        missed |= not record["reached"]
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
