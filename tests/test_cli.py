"""The console script, its plots and its page."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest

from mixstat import __version__, cli
from mixstat.results import page, plots
from mixstat.results.summary import Section, Summary


def tidy_rows(terms=("x", "z"), experts=(1, 2)):
    rows = [(k, "mean", t, 0.1 * k, 0.05, 0.1 * k - 0.1, 0.1 * k + 0.1) for k in experts for t in terms]
    names = ["expert", "parameter", "term", "estimate", "std_error", "conf_low", "conf_high"]
    return pd.DataFrame(rows, columns=names).astype({"expert": "Int64"})


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.strip() == f"mixstat {__version__}"


def test_demo_needs_an_output():
    with pytest.raises(SystemExit) as stop:
        cli.main(["demo"])
    assert stop.value.code == 2


@pytest.mark.parametrize("inside", ["", "below/it"])
def test_output_that_cannot_be_written_is_said_before_any_work(tmp_path, capsys, monkeypatch, inside):
    monkeypatch.setattr(cli, "run_demo", lambda folder: pytest.fail("began to work"))
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert cli.main(["demo", "--output", str(blocked / inside)]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"mixstat demo: cannot write to '{blocked / inside}'")
    assert "Traceback" not in message


def test_demo_on_part_of_the_data(tmp_path, capsys, monkeypatch):
    children = cli.load_children()
    part = children[children["child"].isin(children["child"].unique()[:150])].reset_index(drop=True)
    monkeypatch.setattr(cli, "load_children", lambda: part)
    monkeypatch.setattr(cli, "STARTS", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so few children may well have several optima
        assert cli.main(["demo", "--output", str(tmp_path / "made" / "here")]) == 0
    said = capsys.readouterr().out
    assert "of 150 children" in said
    assert "Gate (multinomial logit, reference expert 1)" in said
    assert "std_error" in said
    assert "log_likelihood" in said
    assert (tmp_path / "made" / "here" / "demo.png").read_bytes().startswith(b"\x89PNG")
    html = (tmp_path / "made" / "here" / "demo.html").read_text(encoding="utf-8")
    assert not re.search(r"<script|<link|https?://", html)
    assert html.count("data:image/png;base64,") == 1
    assert "their knots are at grades" in html


def test_demo_data_are_the_whole_study():
    assert cli.load_children()["child"].nunique() == 500


def test_page_escapes_every_name():
    evil = "<script>alert(1)</script>"
    table = pd.DataFrame({"parameter": ["mean"], "term": [evil], "estimate": [1.0]})
    summary = Summary(evil, [("Formula", evil)], [Section(evil, table)], [evil])
    starts = pd.DataFrame({"kind": [evil], "hits": [1]})
    html = page.render(evil, [evil], [page.Figure(b"png", evil, '" onload="x')], summary, starts, evil)
    assert "<script>" not in html
    assert 'onload="x' not in html


def test_coefficients_has_a_row_a_term():
    ax = plots.coefficients(tidy_rows(), exponentiate=True, labels={"x": "price"})
    assert [label.get_text() for label in ax.get_yticklabels()] == ["price", "z"]
    assert ax.get_xscale() == "log"
    assert ax.get_legend_handles_labels()[1] == ["Expert 1", "Expert 2"]


def test_plots_draw_on_the_axes_given():
    axes = plots.new_figure(9, 3, 3).axes
    unit = np.linspace(0, 1, 50)
    drawn = [
        plots.coefficients(tidy_rows(experts=(1,)), ax=axes[0]),
        plots.rootogram(np.array([40, 20, 5]), np.array([[30.0, 9], [15, 6], [2, 3]]), ax=axes[1]),
        plots.gate(unit, unit, unit, ax=axes[2]),
    ]
    assert drawn == axes
    assert plots.to_png(axes[0].figure, 50).startswith(b"\x89PNG")


def test_rootogram_names_the_open_end():
    ax = plots.rootogram(np.arange(20, 0, -1), np.ones((20, 2)), open_ended=True)
    assert ax.get_xticklabels()[-1].get_text() == "19+"


def test_gate_points_are_means_of_bins():
    covariate = np.repeat([0.0, 1.0], 50)
    ax = plots.gate(covariate / 2, covariate, covariate, bins=2)
    assert np.allclose(ax.lines[0].get_xydata(), [[0, 0], [1, 0.5]])
