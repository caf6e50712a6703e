"""What pages share: runs that come and go, and fits."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.core.errors import BadRun, InvalidValue, PushforwardError
from pushforward.studio import run_folder as module
from pushforward.studio.live_fit import LiveFit
from pushforward.studio.messages import Answer, Request
from pushforward.studio.rooms import find_verb
from pushforward.studio.studio import Studio

RING = {"kind": "built-in", "name": "ring"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        pf.PCA(1).fit(torch.randn(20, 2)).save(tmp_path / "runs" / name)
    return tmp_path / "runs"


def ask(studio: Studio, verb: str, **content: Any) -> Answer:
    return find_verb(verb)(studio, Request(1, verb, content))


def start(studio: Studio, **settings: str) -> LiveFit:
    begun = {"model": "gan", "settings": {"latent": "2", **settings}, "data": RING}
    return studio.fit(ask(studio, "learn.start", **begun, paused=True).content["fit"])


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "../outside", "/etc", "\0", "\ud800", "a" * 10_000, "..\\outside", "C:\\x",
        "%2e%2e/outside", "one/../../outside", "one/images", "link", "circle", "file", "two\n",
    ],
)  # fmt: skip
def test_names_that_are_no_run_of_the_folder(folder: Path, name: str) -> None:
    outside = folder.parent / "outside"
    shutil.copytree(folder / "one", outside)
    (folder / "link").symlink_to(outside)
    (folder / "circle").symlink_to("circle")
    (folder / "file").write_text("")
    studio = Studio(folder)
    for ask in (studio.path, studio.open, studio.manifest):
        with pytest.raises(BadRun, match="there is no run"):
            ask(name)
    assert sorted(studio.run_names()) == ["one", "two"]


def test_links_within_the_folder_are_runs(folder: Path) -> None:
    (folder / "again").symlink_to("one")
    assert sorted(Studio(folder).run_names()) == ["again", "one", "two"]
    assert Studio(folder).path("again") == (folder / "one").resolve()


def test_folders_that_may_not_be_looked_into_are_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_is_dir, real_is_file = Path.is_dir, Path.is_file

    def refuse(path: Path) -> None:
        if "two" in path.parts:
            raise PermissionError(13, "Permission denied", str(path))

    def is_dir(path: Path) -> bool:
        refuse(path)
        return real_is_dir(path)

    def is_file(path: Path) -> bool:
        refuse(path)
        return real_is_file(path)

    studio = Studio(folder)
    monkeypatch.setattr(Path, "is_dir", is_dir)
    assert studio.run_names() == ["one"]
    monkeypatch.setattr(Path, "is_dir", real_is_dir)
    monkeypatch.setattr(Path, "is_file", is_file)
    assert studio.run_names() == ["one"]
    with pytest.raises(BadRun, match="there is no run 'two'"):
        studio.path("two")


def test_runs_are_removed_rewritten_and_brought_back(folder: Path) -> None:
    studio = Studio(folder)
    studio.open("one")
    (folder / "one" / "model.safetensors").write_bytes(b"x")
    with pytest.raises(PushforwardError, match="damaged"):
        studio.open("one")
    shutil.rmtree(folder / "one")
    with pytest.raises(BadRun, match="there is no run 'one'"):
        studio.open("one")
    assert studio.run_names() == ["two"]
    os.rename(folder, folder.parent / "elsewhere")
    with pytest.raises(BadRun, match="the folder runs is gone"):
        studio.run_names()
    os.rename(folder.parent / "elsewhere", folder)
    assert studio.run_names() == ["two"]


def test_a_run_that_goes_while_it_is_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module._is_run

    def vanishing(path: Path) -> bool:
        found = real(path)
        if path.name == "one":
            shutil.rmtree(path, ignore_errors=True)
        return found

    monkeypatch.setattr(module, "_is_run", vanishing)
    names = Studio(folder).run_names()
    assert "two" in names


@pytest.mark.parametrize(
    "line",
    ["[]", "1", "null", "{}", '{"event": "progress"}', '{"event": 1}', '{"event": "evaluated"}'],
)
def test_logs_are_shown_as_far_as_they_are_logs(folder: Path, line: str) -> None:
    good = '{"event": "progress", "samples": 3, "seconds": 1, "terms": {}}'
    (folder / "one" / "log.jsonl").write_text(f"{line}\n{good}\n{line}\n")
    shown = ask(Studio(folder), "runs.show", run="one").content
    assert [point["samples"] for point in shown["curves"]] == [3]


def test_a_fit_that_cannot_begin_says_so_at_once(folder: Path) -> None:
    studio = Studio(folder)
    fit = start(studio)
    began = time.monotonic()
    for settings in ({"augment": "x"}, {"batch": "100000000000"}, {"optimizer": "x"}):
        begun: dict[str, Any] = {"model": "gan", "settings": settings, "data": RING}
        with pytest.raises(PushforwardError):
            ask(studio, "learn.start", **begun, paused=True)
        with pytest.raises(PushforwardError):
            ask(studio, "learn.change", fit=fit.name, **begun)
    assert time.monotonic() - began < 15  # each waited 20 s for a step before
    assert not fit.ended
    studio.close()


def test_fits_are_limited_and_a_changed_one_takes_its_own_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushforward.studio.studio.MOST_FITS", 2)
    studio = Studio(folder)
    one, two = start(studio), start(studio)
    with pytest.raises(InvalidValue, match="2 fits are going on"):
        start(studio)
    begun: dict[str, Any] = {"model": "gan", "settings": {"latent": "2"}, "data": RING}
    changed = ask(studio, "learn.change", fit=one.name, **begun).content["fit"]
    with pytest.raises(BadRun, match="this fit is gone"):
        studio.fit(one.name)
    assert not studio.fit(changed).ended
    assert not two.ended
    until = time.monotonic() + 20
    while not one.ended:
        assert time.monotonic() < until
        time.sleep(0.02)
    two.stop()
    two._thread.join(20)
    start(studio)
    studio.close()


def test_a_page_that_came_and_left_again_starts_the_wait_anew(folder: Path) -> None:
    studio = Studio(folder)
    fit = start(studio)
    studio.enter()
    studio.leave(grace=0.3)
    studio.enter()
    studio.leave(grace=60)
    time.sleep(0.6)
    assert not fit.ended
    studio.close()


def test_the_studio_ends_while_a_run_is_being_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = Studio(folder)
    fit = start(studio)
    opening, opened = threading.Event(), threading.Event()

    def hold(*given: Any) -> None:
        opening.set()
        opened.wait(20)
        raise BadRun("it was held up")

    monkeypatch.setattr(module, "open_run", hold)

    def open_it() -> None:
        with pytest.raises(BadRun):
            studio.open("one")

    holder = threading.Thread(target=open_it)
    holder.start()
    assert opening.wait(20)
    studio.close()
    assert holder.is_alive()
    opened.set()
    holder.join(20)
    with pytest.raises(BadRun):
        studio.fit(fit.name)
