# SPDX-License-Identifier: Apache-2.0
"""Test that the pages are well formed and self-contained, and that a real browser draws them."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from evitsam_ros.cli import main
from evitsam_ros.profiler.compare import compare
from evitsam_ros.profiler.measurements import MORE, Figure, Ratio, Suite
from evitsam_ros.profiler.page import comparison_page, report_page
from evitsam_ros.profiler.report import Report
from evitsam_ros.profiler.schema import read_report
from evitsam_ros.profiler.stages import STAGES, TOTAL

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--virtual-time-budget=3000"),
)


class Balanced(HTMLParser):
    """Check that every element is closed in order, and collect the addresses of loaded files."""

    def __init__(self):
        super().__init__()
        self.open, self.loads, self.tags = [], [], set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.loads += [value for name, value in attributes if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def around(middle: float, seed: int, runs: int = 60) -> list[float]:
    return list(middle * np.random.default_rng(seed).normal(1, 0.05, runs))


@pytest.fixture(scope="module")
def pages(made_up):
    """Make a profile with an outlier of the encoder in run 8, and its comparison with a faster one."""
    sizes = (2, 3, 100, 20, 150, 5, 30, 2, 4, 6, 1, 0.1, 2)
    reports = []
    for shift in (0, 50):
        samples = {
            name: around(size, i + shift) for i, (name, size) in enumerate(zip(STAGES, sizes, strict=True))
        }
        samples["encoder"] = [value * (0.7 if shift else 1) for value in samples["encoder"]]
        samples["encoder"][7] = 400.0
        samples[TOTAL] = [float(sum(run)) for run in zip(*samples.values(), strict=True)]
        reports.append(made_up(samples))
    a, b = reports
    return report_page(a), comparison_page(compare(a, b), a, b, ("a.json", "b.json"))


def test_pages_are_well_formed_and_load_no_files(pages):
    for page in pages:
        parser = Balanced()
        parser.feed(page)
        assert parser.open == [] and parser.loads == []
        assert not {"script", "link", "img", "iframe"} & parser.tags
        assert set(re.findall(r"url\((.)", page)) <= {"#"} and "@import" not in page
        namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
        assert set(re.findall(r"https?://[^\"'\s<)]+", page)) <= namespaces
        assert not re.search(r'\b(?:x|y|width|height|d)="[^"]*nan', page)


def test_ids_are_unique_and_references_resolve(pages):
    """Several charts in one document must not share clip paths or markers."""
    for page in pages:
        ids = re.findall(r'\bid="([^"]*)"', page)
        assert len(ids) == len(set(ids)) > 20
        assert set(re.findall(r'(?:url\(#|href="#)([^)"]*)', page)) <= set(ids)


def test_the_colours_are_those_of_the_style(pages):
    """Charts are dark on a dark page, and no placeholder remains."""
    for page in pages:
        assert "#fe01" not in page
        defined = set(re.findall(r"(--[\w-]+):", page))
        used = set(re.findall(r"var\((--[\w-]+)\)", page))
        assert {"--ink", "--soft", "--line"} <= used <= defined


def test_the_name_of_a_machine_is_escaped(pages):
    assert "&lt;made &amp; up&gt;" in pages[0] and "<made" not in pages[0]


def test_the_outlier_is_the_tallest_run(pages):
    tips = re.findall(r"<title>run 8, encoder: ([\d.]+) of", pages[0])
    assert tips == ["400"]


def test_the_drawn_bars_have_the_lengths_of_the_medians(made_up):
    """The waterfall is read back from the SVG: widths are proportional to the medians."""
    sizes = {"encoder": 100.0, "proposals": 50.0, "upsample": 25.0}
    samples = {name: [size] * 3 for name, size in sizes.items()}
    page = report_page(made_up(samples | {TOTAL: [175.0] * 3}))
    widths = {}
    for name, path in re.findall(r"<title>(\w+): median [^<]*</title>\s*<path d=\"([^\"]*)\"", page):
        xs = [float(x) for x in re.findall(r"[ML] ([\d.]+) ", path)]
        widths[name] = max(xs) - min(xs)
    assert set(widths) == set(sizes)
    for name, size in sizes.items():
        assert widths[name] / widths["encoder"] == pytest.approx(size / 100, rel=0.02)


def test_many_runs_are_drawn_as_areas(made_up):
    runs = 5_000
    page = report_page(made_up({"encoder": [1.0, 2.0] * (runs // 2), TOTAL: [2.0, 3.0] * (runs // 2)}))
    assert "<title>run " not in page and len(page) < 5_000_000


def test_a_benchmark_has_a_page_too():
    figure = Figure("a", "first <mask>", "s", [2.0, 3.0, 4.0], [1.0] * 3, "floor")
    part = Suite([figure], [Ratio("r", "torch / openvino", [2.5], MORE)], ["how it was done"])
    page = report_page(
        Report(
            "evitsam bench", "2026", {}, {"CPU": "a CPU"}, suites={"networks": part}, failed={"l0": "ended"}
        )
    )
    for text in ("<h2>networks</h2>", "<td>first &lt;mask&gt;</td><td>3 s</td>", "<td>2.5</td>", "l0: ended"):
        assert text in page
    assert "how it was done" in page and "<svg" not in page


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_a_missing_library_is_named_before_a_measurement(missing, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr("evitsam_ros.profiler.offline.profile", lambda *_: pytest.fail("measured"))
    assert main(["profile", "--html", str(tmp_path / "page.html")]) == 1
    error = capsys.readouterr().err
    assert f"an HTML page needs {missing}: pip install {missing}" in error and error.count("\n") == 1


def dump(path, folder) -> str:
    """Return the document after the browser has read it."""
    words = [CHROMIUM, *OPTIONS, f"--user-data-dir={folder}", "--dump-dom", path.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt install chromium")
def test_a_browser_draws_the_real_profile(profiled, tmp_path):
    seen = dump(profiled.html, tmp_path / "browser")
    report = read_report(profiled.json)
    assert seen.count("<svg") == 3 and "where every millisecond goes" in seen
    assert seen.count("<title>run ") >= 3 * 5
    for stage in report.stages:
        assert f"<td>{stage.name}</td>" in seen
    assert "3 runs are too few" in seen


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt install chromium")
def test_a_browser_draws_two_compared(pages, tmp_path):
    path = tmp_path / "compared.html"
    path.write_text(pages[1], encoding="utf-8")
    seen = dump(path, tmp_path / "browser")
    assert seen.count("<svg") == 3 and '<td class="faster">faster</td>' in seen
