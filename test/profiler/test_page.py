# SPDX-License-Identifier: Apache-2.0
"""The pages: well formed, complete in themselves, and drawn by a real browser."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from evitsam_ros.profiler import svg
from evitsam_ros.profiler.compare import compare
from evitsam_ros.profiler.comparison_page import comparison_page
from evitsam_ros.profiler.page import report_page
from evitsam_ros.profiler.schema import read_report
from evitsam_ros.profiler.stages import FRAME, STAGES

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--virtual-time-budget=3000"),
)


class Balanced(HTMLParser):
    """Checks that every element is closed in turn; keeps addresses that would be loaded."""

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


@pytest.fixture
def pages(made_up):
    """A profile whose encoder has an outlier in run 8, and its comparison with a faster one."""
    sizes = (2, 3, 100, 20, 150, 5, 30, 2, 6, 1, 0.1, 2)
    reports = []
    for shift in (0, 50):
        samples = {
            name: around(size, i + shift) for i, (name, size) in enumerate(zip(STAGES, sizes, strict=True))
        }
        samples["encoder"] = [value * (0.7 if shift else 1) for value in samples["encoder"]]
        samples["encoder"][7] = 400.0
        samples[FRAME] = [float(sum(run)) for run in zip(*samples.values(), strict=True)]
        reports.append(made_up(samples))
    a, b = reports
    return report_page(a), comparison_page(compare(a, b), a, b, ("a.json", "b.json"))


def test_pages_are_balanced_and_load_nothing(pages):
    for page in pages:
        parser = Balanced()
        parser.feed(page)
        assert parser.open == [] and parser.loads == []
        assert not {"script", "link", "img", "iframe"} & parser.tags
        assert "url(" not in page and "@import" not in page
        assert set(re.findall(r"https?://[^\"'\s<)]+", page)) <= {"http://www.w3.org/2000/svg"}
        assert "nan" not in re.findall(r'(?:x|y|width|height|d)="([^"]*)"', page)


def test_what_a_machine_calls_itself_is_text(pages):
    assert "&lt;made &amp; up&gt;" in pages[0] and "<made" not in pages[0]


def test_the_outlier_is_the_tallest_run(pages):
    tips = re.findall(r"<title>run 8, encoder: ([\d.]+) of", pages[0])
    assert tips == ["400"]


def test_scales_and_labels():
    assert svg.scale(0, 10, 100, 200)(5) == 150 and svg.log_scale(1, 100, 0, 10)(10) == pytest.approx(5)
    assert svg.ticks(885) == [0, 200, 400, 600, 800] and svg.ticks(0.4) == pytest.approx(
        [0, 0.1, 0.2, 0.3, 0.4]
    )
    assert svg.decades(15, 1600) == pytest.approx([20, 50, 100, 200, 500, 1000])
    assert svg.apart([10, 12, 40], 15, 0, 100) == [10, 25, 40]
    assert svg.apart([95, 96, 99], 15, 0, 100) == [70, 85, 100]


def dump(path, folder) -> str:
    """The document after the browser has read it."""
    words = [CHROMIUM, *OPTIONS, f"--user-data-dir={folder}", "--dump-dom", path.as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt install chromium")
def test_a_browser_draws_the_real_profile(profiled, tmp_path):
    seen = dump(profiled.html, tmp_path / "browser")
    report = read_report(profiled.json)
    assert seen.count("<svg") == 3 and "where every millisecond goes" in seen
    assert seen.count("<rect") > len(STAGES)
    for stage in report.stages:
        assert f"<td>{stage.name}</td>" in seen
    assert "3 runs are too few" in seen


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt install chromium")
def test_a_browser_draws_two_compared(pages, tmp_path):
    path = tmp_path / "compared.html"
    path.write_text(pages[1], encoding="utf-8")
    seen = dump(path, tmp_path / "browser")
    assert seen.count("<svg") == 3 and '<td class="faster">faster</td>' in seen
