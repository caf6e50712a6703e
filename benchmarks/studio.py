"""The studio: from a slider to the picture, beside a fit, from the command to the page, and memory."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import pushforward as pf
from benchmarks.timing import child, median
from pushforward.studio.messages import unpack

CHANGES, ROUNDS = 60, 5
"""Changes of a slider in each round."""
SPACING = 1 / 30
"""Seconds between changes beside a fit, as of a hand."""
BESIDE, WINDOW = 4, 5.0
"""Rounds beside a fit, and seconds of each half."""
EDITS, WARM = 1000, 100
"""Edits after which memory is compared, and before which it is not."""
DRAWN = """async (changes) => {
  const room = document.getElementById("room");
  const input = document.querySelector(".sliders input");
  const shown = () => new Promise((done) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    requestAnimationFrame(() => channel.port2.postMessage(0));
  });
  const times = [];
  for (let i = 0; i < changes; i++) {
    const before = Number(room.dataset.decoded);
    const decoded = new Promise((done) => {
      const observer = new MutationObserver(() => {
        if (Number(room.dataset.decoded) > before) { observer.disconnect(); done(); }
      });
      observer.observe(room, { attributes: true });
    });
    const began = performance.now();
    input.value = String(2.5 * Math.sin(i));
    input.dispatchEvent(new Event("input", { bubbles: true }));
    await decoded;
    await shown();
    times.push(performance.now() - began);
    await new Promise((done) => setTimeout(done, 5 + 23 * Math.random()));
  }
  return times;
}"""
"""Times from the event of a slider to the end of the first frame with the decoded picture; changes
come at random moments between frames, as those of a hand do."""


class Link:
    """A socket of the studio, as a page would have it."""

    def __init__(self, address: str) -> None:
        from websockets.sync.client import connect

        host, token = re.findall(r"//([^/]+)/\?token=(.+)", address)[0]
        self._socket = connect(
            f"ws://{host}/socket?token={token}", origin=f"http://{host}", max_size=None,
            compression=None,
        )  # fmt: skip
        self._last = 0

    def ask(self, verb: str, content: dict[str, Any], attached: bytes = b"") -> dict[str, Any]:
        """The header of the answer."""
        import json
        import struct

        self._last += 1
        head = json.dumps({"id": self._last, "verb": verb, "content": content})
        text = head.encode()
        self._socket.send(struct.pack("<I", len(text)) + text + attached if attached else head)
        header, _ = unpack(self._socket.recv())
        if "error" in header:
            raise RuntimeError(f"{verb}: {header['error']}")
        return header

    def close(self) -> None:
        """Leave."""
        self._socket.close()


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A studio of a folder, in a process of its own: its address, and the process."""
    line = [
        sys.executable,
        "-m",
        "pushforward",
        "studio",
        str(folder),
        "--no-browser",
        "--port",
        "0",
    ]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
    finally:
        process.terminate()
        process.wait(20)


def _runs(folder: Path) -> None:
    """Runs of the two models; how well they are fitted does not change how fast they decode."""
    stream = torch.Generator().manual_seed(0)
    photos = torch.rand(16, 3, 64, 64, generator=stream)
    digits = torch.rand(256, 1, 28, 28, generator=stream)
    pf.DCGAN().fit(photos, steps=2, batch=8, quiet=True, run=folder / "dcgan")
    pf.VAE(latent=20, hidden=(400,)).fit(digits, steps=20, batch=32, quiet=True, run=folder / "vae")


WIDTHS = {"dcgan": 100, "vae": 20}
WHAT = {"dcgan": "a DCGAN of 64x64 pixels, width 64", "vae": "a VAE 784-400-20"}


def sliders() -> list[dict[str, Any]]:
    """A slider moved: to the answer over the socket, and to the pixels in Chromium; no fit."""
    from playwright.sync_api import sync_playwright

    rows = []
    with tempfile.TemporaryDirectory() as place, sync_playwright() as play:
        folder = Path(place)
        _runs(folder)
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        with served(folder) as (address, _):
            for name in WIDTHS:
                link, page = Link(address), browser.new_page()
                page.goto(f"{address}#/latent?run={name}")
                page.wait_for_selector("#room[data-decoded]", timeout=60_000)
                _decode_times(link, name, CHANGES)
                page.evaluate(DRAWN, CHANGES)
                over = [_decode_times(link, name, CHANGES) for _ in range(ROUNDS)]
                drawn = [page.evaluate(DRAWN, CHANGES) for _ in range(ROUNDS)]
                rows += [
                    _row(
                        f"studio-socket-{name}",
                        f"slider to answer over the socket, {WHAT[name]}",
                        over,
                        12.0,
                    ),
                    _row(
                        f"studio-pixel-{name}",
                        f"slider to the picture on the screen, {WHAT[name]}",
                        drawn,
                        25.0,
                    ),
                ]
                page.close()
                link.close()
        browser.close()
    return rows


def beside() -> list[dict[str, Any]]:
    """The same beside a fit in the same studio, and what that costs the fit."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _runs(folder)
        for name in WIDTHS:
            with served(folder) as (address, _):
                link = Link(address)
                times, shares = _beside(link, name)
                link.close()
            what = f"beside a fit of a GAN to the ring, {WHAT[name]}, 30 changes a second"
            rows.append(_row(f"studio-beside-{name}", f"slider to answer {what}", times, 60.0))
            rows.append(
                {
                    "name": f"studio-fit-{name}",
                    "what": f"steps of the fit {what}",
                    "against": "the same fit while the slider rests",
                    "ratio": _spread(shares),
                    "target": 0.85,
                    "load": round(os.getloadavg()[0], 1),
                    "check": {"rounds": len(shares), "agree": True},
                }
            )
    return rows


def _beside(link: Link, name: str) -> tuple[list[list[float]], list[float]]:
    """Milliseconds of answers by round, and the fit's speed as a share of its own at rest."""
    data = {"kind": "built-in", "name": "eight_gaussians"}
    fit = link.ask("learn.start", {"model": "gan", "settings": {"steps": "1000000"}, "data": data})
    known = {"fit": fit["content"]["fit"]}
    _decode_times(link, name, CHANGES)
    time.sleep(WINDOW)
    times, shares = [], []
    for _ in range(BESIDE):
        rest = _speed(link, known, lambda: time.sleep(WINDOW))
        made: list[float] = []

        def move(made: list[float] = made) -> None:
            made.extend(_decode_times(link, name, int(WINDOW / SPACING), SPACING))

        moved = _speed(link, known, move)
        times.append(made)
        shares.append(moved / rest)
    link.ask("learn.stop", known)
    return times, shares


def _speed(link: Link, fit: dict[str, Any], work: Any) -> float:
    """Steps a second of a fit during some work."""
    first, began = _steps(link, fit), time.perf_counter()
    work()
    return (_steps(link, fit) - first) / (time.perf_counter() - began)


def _steps(link: Link, fit: dict[str, Any]) -> int:
    return int(link.ask("learn.control", {**fit, "action": "proceed"})["content"]["steps"])


def _decode_times(link: Link, run: str, changes: int, spacing: float = 0.0) -> list[float]:
    """Milliseconds from a change of a slider to the answer."""
    stream, times = torch.Generator().manual_seed(0), []
    for codes in torch.randn(changes, 1, WIDTHS[run], generator=stream).tolist():
        began = time.perf_counter()
        link.ask("latent.decode", {"run": run, "codes": codes})
        taken = time.perf_counter() - began
        times.append(1000 * taken)
        time.sleep(max(0.0, spacing - taken))
    return times


def start() -> list[dict[str, Any]]:
    """From the command to a page that can be used, without the time that importing torch takes."""
    from playwright.sync_api import sync_playwright

    imported, opened = [], []
    with tempfile.TemporaryDirectory() as place, sync_playwright() as play:
        folder = Path(place)
        _runs(folder)
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        browser.new_page().goto("about:blank")
        for round in range(ROUNDS + 1):
            began = time.perf_counter()
            child("import torch")
            bare = time.perf_counter() - began
            began = time.perf_counter()
            with served(folder) as (address, _):
                page = browser.new_page()
                page.goto(f"{address}#/learn")
                page.wait_for_selector("#room[data-ready]", timeout=60_000)
                taken = time.perf_counter() - began
                page.close()
            if round:  # the first reads files from the disk
                imported.append(bare)
                opened.append(taken)
        browser.close()
    return [
        {
            **_row("studio-start", "command to a page that can be used, after importing torch",
                   [[1000 * (a - b)] for a, b in zip(opened, imported)], 2000.0),
            "seconds": {"until the page": median(opened), "import torch alone": median(imported)},
        }
    ]  # fmt: skip


def memory() -> list[dict[str, Any]]:
    """Resident memory of the studio after 1000 more edits."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _runs(folder)
        with served(folder) as (address, process):
            link = Link(address)
            found = link.ask("edit.begin", {"run": "vae", "seed": 0})["content"]["code"]
            strokes = bytearray(4 * 28 * 28)
            sizes = []
            for i in range(WARM + EDITS + 1):
                at = 4 * (28 * (i % 28) + i % 21)
                painted = strokes.copy()
                painted[at : at + 16] = bytes([255, 255, 255, 255] * 4)
                link.ask(
                    "edit.change",
                    {"run": "vae", "code": found, "parts": ["colour"], "drags": []},
                    bytes(painted),
                )
                if i >= WARM and i % 50 == 0:
                    sizes.append(_resident(process.pid))
            link.close()
    grown = sizes[-1] / sizes[0]
    return [
        {
            "name": "studio-memory",
            "what": f"resident memory after {EDITS} edits of a VAE 784-400-20",
            "against": f"the same after the first {WARM}",
            "megabytes": {"first": sizes[0], "last": sizes[-1], "largest": max(sizes)},
            "ratio": {
                "median": round(grown, 3),
                "min": round(min(sizes) / sizes[0], 3),
                "max": round(max(sizes) / sizes[0], 3),
            },
            "target": 1.05,
            "better": "lower",
            "check": {"edits": EDITS, "agree": True},
        }
    ]


def _resident(process: int) -> float:
    """Megabytes."""
    status = Path(f"/proc/{process}/status").read_text()
    return round(int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024, 1)


def _row(name: str, what: str, rounds: list[list[float]], limit: float) -> dict[str, Any]:
    """A row of medians by round, as shares of a limit in milliseconds."""
    medians = [statistics.median(values) for values in rounds]
    every = sorted(value for values in rounds for value in values)
    return {
        "name": name,
        "what": what,
        "against": f"{limit:g} ms",
        "milliseconds": {
            "median": median(every),
            "95 of 100": round(every[int(0.95 * (len(every) - 1))], 2),
        },
        "ratio": _spread([value / limit for value in medians]),
        "target": 1.0,
        "better": "lower",
        "load": round(os.getloadavg()[0], 1),
        "check": {"changes": len(every), "agree": len(every) > 0},
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


BENCHMARKS = {
    "studio-slider": sliders,
    "studio-beside": beside,
    "studio-start": start,
    "studio-memory": memory,
}
