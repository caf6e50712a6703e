"""Pages: one file, no request, and in a browser the numbers of the model."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.export import write_page
from pushforward.export.html_page import MODULES, bundle
from tests.small_models import conditions, data, fitted, images, rows

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


def open_page(browser: Any, path: Path, **how: Any) -> Any:
    """The page, started; it must ask for nothing and report no error."""
    page = browser.new_context(**how).new_page()
    page.asked, page.errors = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.errors.append(message.text))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_function("globalThis.pushforward", timeout=60_000)
    assert page.asked == [path.as_uri()]
    assert page.errors == []
    return page


def computed(page: Any, *inputs: torch.Tensor) -> torch.Tensor:
    """What the page's runtime makes of inputs, with and without WebAssembly."""
    lists = [x.flatten().tolist() for x in inputs]
    made = page.evaluate("x => Array.from(pushforward.runtime.run(...x))", lists)
    return torch.tensor(made, dtype=torch.float64)


SETTINGS: dict[str, dict[str, Any]] = {
    "vae": {},
    "vae conv": {"network": "conv(width=8, hidden=16, norm='group')"},
    "vae bernoulli": {"likelihood": "bernoulli", "activation": "gelu"},
    "pca": {},
    "autoencoder": {},
    "gan": {},
    "dcgan": {},
    "r3gan": {},
    "infogan": {},
    "lapgan": {},
    "pix2pix": {},
    "srresnet": {},
}


@pytest.mark.parametrize("case", SETTINGS)
def test_the_page_computes_what_the_model_does(case: str, browser: Any, tmp_path: Path) -> None:
    name = case.split()[0]
    x = images() if name == "vae" else data(name)
    x = (x - 4) / 2 if "bernoulli" in case else x
    model = fitted(name, x, conditions(name, x), settings=SETTINGS[case])
    seen = x if name == "autoencoder" else None
    page = open_page(browser, write_page(model, tmp_path / "a.html", rows=seen).path)
    shapes = page.evaluate(
        "pushforward.runtime.program.inputs.map(n => pushforward.runtime.shape(n))"
    )
    stream = torch.Generator().manual_seed(3)
    if name in ("pix2pix", "srresnet"):
        inputs = torch.rand(*shapes[0], generator=stream) * 2 + 4
        wanted = model.translate(inputs, using="mean")
    else:
        inputs = torch.randn(*shapes[0], generator=stream)
        wanted = model.decode(inputs).detach()
    space = model.space
    spread = torch.tensor(space.ranges if space.kind == "points" else space.high - space.low)
    if space.kind == "images":
        wanted = wanted.clamp(space.low, space.high)
    made = computed(page, inputs).reshape(wanted.shape)
    most = 2e-3 if space.kind == "points" else 1 / 255
    assert float(((made - wanted).abs() / spread).max()) <= most


def test_labels_choose_what_is_made(browser: Any, tmp_path: Path) -> None:
    x, y = rows(d=2), torch.arange(96) % 3
    model = fitted("gan", x, y)
    page = open_page(browser, write_page(model, tmp_path / "gan.html").path)
    z = torch.randn(512, 2, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(512) % 3
    made = computed(page, z, labels).reshape(512, 2)
    wanted = model.decode(z, labels).detach()
    assert float(((made - wanted).abs() / torch.tensor(model.space.ranges)).max()) <= 2e-3
    before = page.evaluate("document.querySelector('canvas').toDataURL()")
    page.get_by_role("button", name="2", exact=True).click()
    page.wait_for_function(
        "before => document.querySelector('canvas').toDataURL() !== before", arg=before
    )


@pytest.fixture(scope="module")
def vae_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = fitted("vae", images(shape=(3, 8, 9)))
    return write_page(model, tmp_path_factory.mktemp("page") / "vae.html", title="A <VAE>").path


def test_plain_javascript_gives_the_same(vae_page: Path, browser: Any) -> None:
    page = open_page(browser, vae_page)
    apart = page.evaluate("""async () => {
      const { runtime } = pushforward;
      if (!runtime.memory.tiles) throw new Error("WebAssembly was refused");
      const text = atob(document.getElementById("weights").textContent);
      const bytes = Uint8Array.from(text, c => c.charCodeAt(0));
      const plain = await runtime.constructor.load(runtime.program, bytes, { plain: true });
      if (plain.memory.tiles) throw new Error("not plain");
      const one = Array.from(runtime.run([0.3, -1])), two = plain.run([0.3, -1]);
      return Math.max(...one.map((v, i) => Math.abs(v - two[i])));
    }""")
    assert apart < 1e-5


def test_random_codes_follow_the_seed(vae_page: Path, browser: Any) -> None:
    page = open_page(browser, vae_page)
    picture = "document.querySelector('canvas').toDataURL()"
    seen = []
    for seed in ("7", "8", "7"):
        page.get_by_label("Seed").fill(seed)
        page.get_by_label("Seed").press("Enter")
        page.wait_for_timeout(100)
        seen.append(page.evaluate(picture))
    assert seen[0] == seen[2] != seen[1]


def test_sliders_answer_to_the_keyboard(vae_page: Path, browser: Any) -> None:
    page = open_page(browser, vae_page)
    slider = page.locator(".slider input").first
    before = float(slider.input_value())
    slider.press("ArrowRight")
    assert float(slider.input_value()) > before


def test_the_gif_is_read_by_pillow_as_it_was_shown(vae_page: Path, browser: Any) -> None:
    page = open_page(browser, vae_page)
    content = bytes(page.evaluate("Array.from(pushforward.view.gif())"))
    with Image.open(io.BytesIO(content)) as image:
        assert image.n_frames == 46
        assert image.info["duration"] == 60
        size, first = image.size, image.convert("RGB").resize((9, 8), Image.Resampling.NEAREST)
    assert size == (9 * 31, 8 * 31)
    shown = page.evaluate("""() => {
      const { view } = pushforward;
      view.paint(view.canvas, view.ends[0]);
      return Array.from(view.canvas.getContext("2d").getImageData(0, 0, 9, 8).data);
    }""")
    wanted = torch.tensor(shown).reshape(8, 9, 4)[..., :3]
    got = torch.from_numpy(np.array(first))
    assert float((wanted - got).abs().float().mean()) < 4


def test_a_narrow_page_has_no_sideways_scroll(vae_page: Path, browser: Any) -> None:
    page = open_page(browser, vae_page, viewport={"width": 375, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") == 375


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(scheme: str, vae_page: Path, browser: Any) -> None:
    page = open_page(browser, vae_page, color_scheme=scheme)
    colours = page.evaluate("""() => Object.fromEntries(
      ["paper", "card", "ink", "quiet", "field", "accent", "on-accent", "soft", "point"].map(
        n => [n, getComputedStyle(document.documentElement).getPropertyValue("--" + n).trim()]))""")
    pairs = [("ink", "paper"), ("ink", "card"), ("quiet", "paper"), ("quiet", "card"),
             ("on-accent", "accent"), ("ink", "soft")]  # fmt: skip
    assert all(contrast(colours[a], colours[b]) >= 4.5 for a, b in pairs)
    marks = [("field", "card"), ("accent", "card"), ("point", "card")]
    assert all(contrast(colours[a], colours[b]) >= 3 for a, b in marks)


def contrast(one: str, two: str) -> float:
    """Of two colours #rrggbb: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    shades = sorted(luminance(c) for c in (one, two))
    return (shades[1] + 0.05) / (shades[0] + 0.05)


def luminance(colour: str) -> float:
    levels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


HOSTILE = (
    "</script><script>alert(1)</script>", "\"quotes\" 'single'", "<!--",
    "<img src=x onerror=alert(1)>", "x" * 10_000, "\u202eright to left",
    "\U0001f600", "{{weights}}", "a\u2028b", "\\u003c",
)  # fmt: skip


@pytest.mark.parametrize("width", [1280, 375])
def test_names_of_labels_are_text_of_any_length(browser: Any, tmp_path: Path, width: int) -> None:
    x = rows(d=2)
    model = fitted("gan", x, [HOSTILE[i % len(HOSTILE)] for i in range(len(x))])
    title = "</title><script>alert(2)</script>{{content}}"
    made = write_page(model, tmp_path / "a.html", title=title, data="<b>{{script}}</b> </script>")
    page = open_page(browser, made.path, viewport={"width": width, "height": 700}, offline=True)
    assert page.title() == title
    assert page.evaluate("document.documentElement.scrollWidth") == width
    shown = page.locator("[role=group][aria-label=label] button").all_text_contents()
    assert sorted(shown) == sorted(HOSTILE)
    assert page.locator("script:not([type]), img, b").count() == 0


def test_a_page_of_an_autoencoder_draws_its_codes_from_rows(browser: Any, tmp_path: Path) -> None:
    x = data("autoencoder")
    model = fitted("autoencoder", x)
    with pytest.raises(pf.PushforwardError, match="has no distribution of codes"):
        write_page(model, tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()
    page = open_page(browser, write_page(model, tmp_path / "a.html", rows=x).path)
    picture = "document.querySelector('canvas').toDataURL()"
    before = page.evaluate(picture)
    page.get_by_label("Seed").fill("9")
    page.get_by_label("Seed").press("Enter")
    page.wait_for_function(f"before => {picture} !== before", arg=before)
    codes = page.evaluate("Array.from(pushforward.view.z)")
    kept = model.encode(x)
    assert float((kept - torch.tensor(codes)).abs().amax(1).min()) < 1e-4


# ------------------------------------------------------------------------- without a browser


def test_the_file_refers_to_nothing_outside(vae_page: Path) -> None:
    text = vae_page.read_text("utf-8")
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?\s*(https?:)?//""", text)
    assert "default-src 'none'" in text
    assert "<title>A &lt;VAE&gt;</title>" in text


def test_modules_share_no_name_and_leave_no_import() -> None:
    script = bundle()
    assert not re.search(r"^(import|export) ", script, re.MULTILINE)
    names = re.findall(r"^(?:async )?(?:function|class|const) (\w+)", script, re.MULTILINE)
    assert len(names) > 60
    assert len(names) == len(set(names))


def test_every_module_is_bundled() -> None:
    folder = Path(__file__).parents[3] / "pushforward" / "export" / "page"
    assert {path.name for path in folder.glob("*.js")} == set(MODULES)
