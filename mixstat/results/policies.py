"""Tables of policies: what each expert does, and the text of a report."""

from typing import Any

import numpy as np
import pandas as pd


def expert_table(report: Any) -> pd.DataFrame:
    """One row an expert (1-based): share, largest_weight, nearest (expert), distance to it, wins, remark."""
    k = report.n_experts
    apart = np.where(np.eye(k, dtype=bool), np.inf, report.distance)
    nearest = [int(row.argmin()) + 1 if k > 1 else pd.NA for row in apart]
    table = pd.DataFrame(
        {
            "expert": np.arange(1, k + 1),
            "share": report.shares,
            "largest_weight": report.weights.max(axis=0),
            "nearest": pd.array(nearest, dtype="Int64"),
            "distance": apart.min(axis=1) if k > 1 else np.full(k, np.nan),
        }
    )
    if report.wins is not None:
        table["wins"] = report.wins
    table["remark"] = [_remark(report, expert) for expert in table["expert"]]
    return table


def _remark(report: Any, expert: int) -> str:
    twins = [str(other) for pair in report.redundant if expert in pair for other in pair if other != expert]
    found = {
        "dead": expert in report.dead,
        f"redundant with {', '.join(twins)}": bool(twins),
        "standard deviation at its bound": expert in report.clipped,
    }
    return "; ".join(text for text, holds in found.items() if holds)


def report_text(report: Any) -> str:
    """The report as lines of text."""
    k, entropy = report.n_experts, report.entropy
    rows = [
        ("Experts", f"{k}, at {len(report.weights)} observations"),
        ("Gate entropy", f"{report.gate_entropy.mean():.3f} of at most log {k} = {np.log(k):.3f}"),
        ("Responsibility entropy", f"{report.responsibility_entropy.mean():.3f} (0: experts are told apart)"),
        ("Entropy of the action", f"{entropy.pairwise_lower.mean():.3f} to {entropy.pairwise_upper.mean():.3f} nats"),
        ("Shares", ", ".join(f"{share:.3f}" for share in report.shares)),
    ]
    remarks = [f"expert {k + 1}: {text}" for k, text in enumerate(expert_table(report)["remark"]) if text]
    rows += [("Remarks", remark) for remark in remarks or ["none"]]
    return "\n".join(f"{name:<24}{value}" for name, value in rows)
