"""Models in a browser: milliseconds of a sample in exported pages, in headless Chromium.

ONNX Runtime for browsers is measured as well where its folder is known:

    npm install --prefix /tmp/web onnxruntime-web
    ONNXRUNTIME_WEB=/tmp/web/node_modules/onnxruntime-web/dist make bench ONLY=page
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import pushforward as pf
from benchmarks.timing import median
from pushforward.export import write_onnx, write_page

ROUNDS, REPEATS = 7, 15
"""Measurements of each side in turn, and samples in one: clocks of browsers have steps of 0.1 ms."""
PREPARE = """async () => {
  const { runtime } = pushforward;
  const text = atob(document.getElementById("weights").textContent);
  const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
  globalThis.fast = runtime;
  globalThis.plain = await runtime.constructor.load(runtime.program, bytes, { plain: true });
  const codes = new Float32Array(runtime.view(runtime.program.inputs[0]).length);
  globalThis.time = (which, repeats) => {
    const began = performance.now();
    for (let i = 0; i < repeats; i++) which.run(codes);
    return (performance.now() - began) / repeats;
  };
}"""
WEB = """<!doctype html><script type="module">
import * as ort from "./ort.wasm.min.mjs";
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = "./";
const session = await ort.InferenceSession.create("./decoder.onnx");
const [name] = session.inputNames;
const codes = new ort.Tensor("float32", new Float32Array(WIDTH), [1, WIDTH]);
globalThis.time = async (repeats) => {
  const began = performance.now();
  for (let i = 0; i < repeats; i++) await session.run({ [name]: codes });
  return (performance.now() - began) / repeats;
};
</script>"""


def pages() -> list[dict[str, Any]]:
    """A sample of a DCGAN of 64x64 pixels and of a VAE 784-400-20, in pages: against 60 and 10 ms."""
    stream = torch.Generator().manual_seed(0)
    photos = torch.rand(16, 3, 64, 64, generator=stream)
    digits = torch.rand(64, 1, 28, 28, generator=stream)
    gan = pf.DCGAN().fit(photos, steps=2, batch=8, quiet=True)
    vae = pf.VAE(latent=20, hidden=(400,)).fit(digits, steps=2, batch=32, quiet=True)
    return [
        _measure("page-dcgan", "a 64x64 sample of a DCGAN, width 64", gan, 60.0),
        _measure("page-vae", "a 28x28 sample of a VAE 784-400-20", vae, 10.0),
    ]


def _measure(name: str, what: str, model: Any, limit: float) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as place, sync_playwright() as play:
        folder = Path(place)
        page = write_page(model, folder / "page.html")
        write_onnx(model, folder / "graphs")
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        opened = browser.new_page()
        opened.goto(page.path.as_uri())
        opened.wait_for_function("globalThis.pushforward", timeout=120_000)
        opened.evaluate(PREPARE)
        sides: dict[str, Any] = {
            "page": lambda: opened.evaluate("(n) => time(fast, n)", REPEATS),
            "page without WebAssembly": lambda: opened.evaluate("() => time(plain, 2)"),
        }
        with _web(folder, browser, model.latent) as web:
            if web is not None:
                sides["onnxruntime-web"] = lambda: web.evaluate("(n) => time(n)", REPEATS)
            numbers = _in_turn(sides)
        size = _web_size()
        browser.close()
    return {
        "name": name,
        "what": what,
        "against": f"{limit:g} ms in Chromium, one thread",
        "milliseconds": {side: median(values) for side, values in numbers.items()},
        "megabytes": {"page": round(page.megabytes, 2), **size},
        "load": round(os.getloadavg()[0], 1),
        "ratio": _shares(numbers["page"], limit),
        "target": 1.0,
        "better": "lower",
        "check": {"difference": page.difference, "agree": page.difference <= 1e-4},
    }


def _in_turn(sides: dict[str, Any]) -> dict[str, list[float]]:
    """Every side once per round; two rounds first, in which browsers compile."""
    numbers: dict[str, list[float]] = {name: [] for name in sides}
    for i in range(ROUNDS + 2):
        for name, side in sides.items():
            value = float(side())
            if i >= 2:
                numbers[name].append(value)
    return numbers


def _shares(values: list[float], limit: float) -> dict[str, float]:
    shares = [value / limit for value in values]
    return {
        "median": round(statistics.median(shares), 3),
        "min": round(min(shares), 3),
        "max": round(max(shares), 3),
    }


def _web_folder() -> Path | None:
    known = os.environ.get("ONNXRUNTIME_WEB")
    return Path(known) if known else None


def _web_size() -> dict[str, float]:
    folder = _web_folder()
    if folder is None:
        return {}
    files = ("ort-wasm-simd-threaded.wasm", "ort.wasm.min.mjs")
    return {
        "onnxruntime-web alone": round(sum((folder / f).stat().st_size for f in files) / 1e6, 2)
    }


@contextmanager
def _web(folder: Path, browser: Any, width: int) -> Iterator[Any]:
    """Context manager: a page with the same graph in ONNX Runtime; None where that is not known."""
    origin = _web_folder()
    if origin is None:
        yield None
        return
    served = folder / "web"
    shutil.copytree(origin, served)
    shutil.copy(folder / "graphs" / "decoder.onnx", served)
    (served / "index.html").write_text(WEB.replace("WIDTH", str(width)))
    handler = functools.partial(_Quiet, directory=str(served))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
    page.wait_for_function("globalThis.time", timeout=120_000)
    yield page
    server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


BENCHMARKS = {"page": pages}
