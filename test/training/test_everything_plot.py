# SPDX-License-Identifier: Apache-2.0
"""Figure 1 of Lite-SAM from measurements: rows, costs, recall as of the evaluation, and the drawn file."""

import json

import cv2
import pytest

from training import evaluate
from training.evaluation.cost import network_costs
from training.everything_plot import RECALL, TIME, main
from training.seed_report import COSTS, plot_costs, spreads


@pytest.fixture(scope="module")
def data(tmp_path_factory, shapes_data):
    """Return two images of shapes whose masks cover everything."""
    folder = tmp_path_factory.mktemp("plot")
    (folder / "annotations").mkdir()
    (folder / "images").symlink_to(shapes_data / "images")
    content = json.loads((shapes_data / "annotations" / "shapes_val.json").read_text())
    for name, info in (("all", {"exhaustive": True}), ("some", {})):
        (folder / "annotations" / f"{name}.json").write_text(json.dumps({**content, "info": info}))
    return folder


def arguments(data, bundle, plot, *more, on="all"):
    words = ["--models", str(bundle), "--data", str(data), "--on", on, "--limit", "2", "--max-prompts", "4"]
    return [*words, "--plot", str(plot), *more]


def test_rows_have_the_costs_and_the_recall_of_the_evaluations(data, bundle_folder, tmp_path, capsys):
    plot, file, wanted = (tmp_path / name for name in ("figure.png", "rows.json", "evaluated.json"))
    assert main(arguments(data, bundle_folder, plot, "--grids", "2", "--json", str(file))) == 0
    rows = json.loads(file.read_text())["all"]
    assert list(rows) == ["lite_sam, AutoPPN 4", "lite_sam, grid 2x2"]
    command = [
        "everything",
        "--model",
        str(bundle_folder),
        "--data",
        str(data),
        "--on",
        "all",
        "--limit",
        "2",
    ]
    assert evaluate.main([*command, "--max-prompts", "4", "--grids", "2", "--json", str(wanted)]) == 0
    recalls = json.loads(wanted.read_text())["all"]
    parts = network_costs("lite_sam")
    for way, used in (("AutoPPN 4", parts), ("grid 2x2", [part for part in parts if part != "AutoPPN"])):
        row = rows[f"lite_sam, {way}"]
        assert row[RECALL] == recalls[way]["all"] and row[TIME] > 0
        assert row[COSTS[0]] == pytest.approx(sum(parts[part].parameters for part in used) / 1e6)
        assert row[COSTS[1]] == pytest.approx(sum(parts[part].macs for part in used) / 1e9)
    assert cv2.imread(str(plot)).std() > 1
    assert "AutoPPN 4" in capsys.readouterr().out


def test_each_value_is_drawn_at_its_place(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    drawn = []
    plot_of_matplotlib = Axes.plot

    def record(axes, x, y, *style, **more):
        if style == ("o",):
            drawn.append((axes, x, y))
        return plot_of_matplotlib(axes, x, y, *style, **more)

    monkeypatch.setattr(Axes, "plot", record)
    row = {COSTS[0]: 4.0, COSTS[1]: 12.0, RECALL: 0.2}
    large = {COSTS[0]: 90.0, COSTS[1]: 400.0, RECALL: 0.3, TIME: 9.0}
    rows = spreads({"small": [row | {TIME: 0.5}, row | {TIME: 0.7}], "large": [large]})
    plot_costs("t", rows, tmp_path / "plot.svg", (*COSTS, TIME))
    places = [(axes.get_xlabel(), axes.get_xscale(), x, y) for axes, x, y in drawn]
    assert places == [
        (COSTS[0], "log", 4.0, 0.2),
        (COSTS[0], "log", 90.0, 0.3),
        (COSTS[1], "log", 12.0, 0.2),
        (COSTS[1], "log", 400.0, 0.3),
        (TIME, "linear", pytest.approx(0.6), 0.2),
        (TIME, "linear", 9.0, 0.3),
    ]
    assert drawn[0][0].get_ylabel() == RECALL


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"plot": "figure.xyz"}, "expected a name with .png, .svg, .pdf in a folder that exists"),
        ({"plot": "nowhere/figure.png"}, "expected a name with .png"),
        ({"on": "some"}, "everything has a mask"),
        ({"on": "missing"}, "missing"),
        ({"bundle": "no_such_model"}, "no_such_model"),
    ],
)
def test_what_cannot_be_used_is_one_line(changes, message, data, bundle_folder, tmp_path, capsys):
    plot = tmp_path / changes.get("plot", "figure.png")
    words = arguments(data, changes.get("bundle", bundle_folder), plot, on=changes.get("on", "all"))
    assert main(words) in (1, 2)
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1 and not plot.exists()
