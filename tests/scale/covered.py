"""Validate many random hospitals: how often does a 95 % interval cover what was planted? Exit status 1 below 85 %.

    python tests/scale/covered.py [--seeds 40] [--patients 5000]

Each hospital has a bias, a drifting scanner and doctors who send the low to DXA. The truth of a figure is what it comes
to in a hospital so large that chance no longer counts.
"""

import argparse
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).parents[1]))

import hospital_truth  # noqa: E402
import random_hospital  # noqa: E402
from random_hospital import Law  # noqa: E402

from screening.prediction.tscore import REFERENCES  # noqa: E402
from screening.store.validation import validate  # noqa: E402
from screening.validation_settings import ValidationSettings  # noqa: E402

LEAST_COVERED = 0.85  # of 40 seeds; chance alone leaves fewer at true coverage once in 300 figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--patients", type=int, default=5000)
    arguments = parser.parse_args()
    law = replace(hospital_truth.PLANTED, patients=arguments.patients)
    planted = {("bmd_cnn", name): truth(hospital_truth.PLANTED) for name, truth in hospital_truth.VERIFIED.items()}
    planted |= {("weighted", name): truth(hospital_truth.PLANTED) for name, truth in hospital_truth.EVERYBODY.items()}
    covered: Counter[tuple[str, str]] = Counter()
    for seed in range(arguments.seeds):
        covered.update(covered_in(law, seed, planted))
        sys.stdout.write(f"seed {seed}: {covered.total() / (seed + 1) / len(planted):.3f} covered so far\n")
        sys.stdout.flush()
    for (reader, metric), truth in planted.items():
        share = covered[reader, metric] / arguments.seeds
        sys.stdout.write(f"{reader} {metric}: planted {truth:.4f}, covered {share:.3f}\n")
    return 0 if min(covered[figure] for figure in planted) >= LEAST_COVERED * arguments.seeds else 1


def covered_in(law: Law, seed: int, planted: dict[tuple[str, str], float]) -> list[tuple[str, str]]:
    with duckdb.connect() as connection:
        random_hospital.fill(connection, law, seed)
        connection.execute("DELETE FROM dxa WHERE dxa_date >= '2026-01-01'")
        report = validate(connection, ValidationSettings(), REFERENCES)
    found = {(one.reader, one.metric): one.estimate for one in report.figures if one.dimension == "overall"}
    return [figure for figure, truth in planted.items() if found[figure].low <= truth <= found[figure].high]


if __name__ == "__main__":
    sys.exit(main())
