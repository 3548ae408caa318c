"""Makes campaign.csv and .json: simulated answers to a campaign, the best rare. Run `python data/make_campaign.py`.

logit P(outcome <= k) = cut_k - x'b_k, k = 1, 2, 3, for ignored < visited < enquired < bought

Slopes are the same at all cuts but for two columns: who comes by a search is no likelier to visit than to enquire, but
to buy; and what was spent before tells who buys, not who visits. `TRUTH` is written to campaign.json.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

SEED = 20260112
PEOPLE = 3000
OUTCOMES, CHANNELS = ("ignored", "visited", "enquired", "bought"), ("post", "mail", "search")
COLUMNS = "person,outcome,channel,age,spend,visits,newsletter,region,wave"
TRUTH: dict[str, Any] = {
    "outcomes": list(OUTCOMES),
    "terms": [
        "channel[T.mail]",
        "channel[T.search]",
        "I((age - 45) / 10)",
        "log(spend)",
        "visits",
        "newsletter",
    ],
    "cuts": [1.2, 4.0, 6.6],
    "slopes": [
        [0.3, 0.5, -0.2, 0.1, 0.25, 0.4],
        [0.3, 0.5, -0.2, 0.4, 0.25, 0.4],
        [0.3, 1.6, -0.2, 0.4, 0.25, 0.4],
    ],
    "shares_of_channels": [0.4, 0.35, 0.25],
    "no_effect": ["region", "wave"],
}


def main() -> None:
    rng = np.random.default_rng(SEED)
    channel = rng.choice(3, PEOPLE, p=TRUTH["shares_of_channels"])
    age = rng.normal(47, 14, PEOPLE).clip(18, 90).round().astype(int)
    spend = np.exp(rng.normal(2.0, 0.8, PEOPLE)).round(2)
    visits, newsletter = rng.poisson(1.5, PEOPLE), rng.integers(0, 2, PEOPLE)
    region, wave = rng.integers(0, 4, PEOPLE), rng.integers(1, 7, PEOPLE)
    design = np.column_stack([channel == 1, channel == 2, (age - 45) / 10, np.log(spend), visits, newsletter])
    predictors = np.array(TRUTH["cuts"])[:, None] - np.array(TRUTH["slopes"]) @ design.T
    below = 1 / (1 + np.exp(-predictors))
    if (np.diff(below, axis=0) <= 0).any():
        raise ValueError("cumulative probabilities cross")
    outcome = (rng.random(PEOPLE) > below).sum(axis=0)
    lines = [COLUMNS]
    for i in range(PEOPLE):
        who = f"p{i + 1:04d},{OUTCOMES[outcome[i]]},{CHANNELS[channel[i]]},{age[i]},{spend[i]:.2f},{visits[i]}"
        lines.append(f"{who},{newsletter[i]},{('north', 'east', 'south', 'west')[region[i]]},{wave[i]}")
    folder = Path(__file__).parent
    (folder / "campaign.csv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    truth = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in TRUTH.items())
    (folder / "campaign.json").write_text(f"{{\n{truth}\n}}\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
