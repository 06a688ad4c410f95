"""Planted drift is found soon, and nothing else is."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from screening.drift import judged, newest_alerts
from screening.validation_settings import DriftSettings

MEANS = {"air_hu": (-1000, 1.5), "fat_hu": (-100, 7), "muscle_hu": (50, 8), "l1_hu": (140, 40), "bmd_cnn": (0.9, 0.12)}
SHARES = {"excluded: contrast": 0.12, "excluded: no_lumbar": 0.03, "failed": 0.005, "flag_rate": 0.15}


def month(number):
    return date(2025 + (number - 1) // 12, (number - 1) % 12 + 1, 1)


def hospital(seed, *, shifts=None, share_shifts=None, first=9, scanners=8, months=12, studies=50):
    """Months of scanners that read alike but for shifts of scanner S3 from month `first` on."""
    random = np.random.default_rng(seed)
    means, shares = [], []
    for scanner in range(scanners):
        of_its_own = random.normal(0, 3)
        for number in range(1, months + 1):
            drifted = scanner == 3 and number >= first
            for metric, (mean, sd) in MEANS.items():
                n = max(int(random.poisson(studies)), 2)
                offset = of_its_own * (metric in ("fat_hu", "muscle_hu")) + drifted * (shifts or {}).get(metric, 0)
                drawn = random.normal(mean + offset, sd, n)
                means.append((month(number), f"S{scanner}", metric, drawn.mean(), drawn.std(ddof=1), n))
            for metric, share in SHARES.items():
                share += drifted * (share_shifts or {}).get(metric, 0)
                shares.append((month(number), f"S{scanner}", metric, random.binomial(studies, share), studies))
    return (
        pd.DataFrame(means, columns=["month", "scanner", "metric", "mean", "sd", "n"]),
        pd.DataFrame(shares, columns=["month", "scanner", "metric", "holds", "n"]),
    )


def alerts(found):
    return found[found["state"] == "alert"]


SEEDS = range(10)
WHOLE_SCALE = {"fat_hu": 8.0, "muscle_hu": 8.0, "l1_hu": 8.0, "bmd_cnn": 0.02}


@pytest.mark.parametrize("seed", SEEDS)
def test_8_hu_from_month_9_on_alert_within_a_month_and_no_other_scanner_does(seed):
    found = alerts(judged(*hospital(seed, shifts=WHOLE_SCALE), DriftSettings()))

    assert set(found["scanner"]) == {"S3"}
    assert month(9) <= found["month"].min() <= month(10)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_hospital_that_reads_as_ever_has_no_alert(seed):
    assert alerts(judged(*hospital(seed + 100), DriftSettings())).empty


@pytest.mark.parametrize("first", [5, 7, 12])
def test_drift_may_begin_early_or_late(first):
    found = alerts(judged(*hospital(1, shifts=WHOLE_SCALE, first=first), DriftSettings()))

    assert found["month"].min() == month(first)
    assert found["month"].max() == month(12)


def test_a_drop_alerts_as_a_rise_does():
    found = alerts(judged(*hospital(2, shifts={"muscle_hu": -9.0}), DriftSettings()))

    assert set(found["metric"]) == {"muscle_hu"}
    assert (found["z"] < 0).all()


def test_a_shift_too_small_to_matter_never_alerts():
    means, shares = hospital(3, shifts={"fat_hu": 2.0, "muscle_hu": 2.0}, studies=5000)

    found = judged(means, shares, DriftSettings())

    assert alerts(found).empty
    assert found["z"].abs().max() > 10


def test_what_matters_is_for_the_site_to_say():
    settings = DriftSettings(material_shifts={"fat_hu": 1.0})

    found = alerts(judged(*hospital(3, shifts={"fat_hu": 2.0}, studies=5000), settings))

    assert set(found["metric"]) == {"fat_hu"}


def test_a_share_of_exclusions_that_rises_alerts():
    found = alerts(judged(*hospital(4, share_shifts={"excluded: contrast": 0.35}), DriftSettings()))

    assert set(found["metric"]) == {"excluded: contrast"}
    assert found["month"].min() == month(9)


def test_an_alert_stays_while_the_scanner_reads_otherwise():
    found = alerts(judged(*hospital(5, shifts={"fat_hu": 10.0}, months=24), DriftSettings()))

    assert sorted(set(found["month"])) == [month(number) for number in range(9, 25)]


def test_a_baseline_begins_anew_where_the_site_says_so():
    rows = hospital(5, shifts={"fat_hu": 10.0}, months=24)
    settings = DriftSettings(baseline_from={"S3": date(2025, 9, 15)})

    found = judged(*rows, settings)

    assert alerts(found).empty
    assert found[found["scanner"] == "S3"]["month"].min() == month(9)


def test_months_of_few_studies_are_not_judged():
    found = judged(*hospital(6, shifts=WHOLE_SCALE, studies=8), DriftSettings())

    assert set(found["state"]) == {"too_few"}
    assert found["z"].isna().all()


def test_the_first_months_are_a_baseline_and_say_so():
    found = judged(*hospital(7), DriftSettings(baseline_months=6, least_baseline_months=3))

    early = found[found["month"] <= month(3)]
    assert set(early["state"]) == {"baseline"}
    assert set(found[found["month"] > month(3)]["state"]) == {"stable"}


def test_the_baseline_is_the_mean_of_its_months():
    means, shares = hospital(8)

    found = judged(means, shares, DriftSettings())

    own = means[(means["scanner"] == "S1") & (means["metric"] == "fat_hu") & (means["month"] <= month(6))]
    row = found[(found["scanner"] == "S1") & (found["metric"] == "fat_hu") & (found["month"] == month(9))].iloc[0]
    assert row["baseline"] == pytest.approx(np.average(own["mean"], weights=own["n"]))
    assert row["baseline_n"] == own["n"].sum()


def test_a_scanner_that_varies_from_month_to_month_does_not_alert_for_it():
    means, shares = hospital(9, months=18)
    random = np.random.default_rng(0)
    of_month = {(scanner, day): random.normal(0, 6) for scanner in means["scanner"] for day in means["month"]}
    wobble = [of_month[key] for key in zip(means["scanner"], means["month"], strict=True)]
    means["mean"] += np.where(means["metric"].isin(["fat_hu", "muscle_hu"]), wobble, 0.0)

    assert len(alerts(judged(means, shares, DriftSettings()))) <= 2


def test_air_that_was_always_the_same_alerts_when_it_is_not():
    means, shares = hospital(10)
    air = means["metric"] == "air_hu"
    means.loc[air, ["mean", "sd"]] = [-1000.0, 0.0]
    means.loc[air & (means["scanner"] == "S3") & (means["month"] >= month(9)), "mean"] = -985.0

    assert set(alerts(judged(means, shares, DriftSettings()))["scanner"]) == {"S3"}


def test_only_the_newest_months_call_for_attention():
    found = judged(*hospital(1, shifts=WHOLE_SCALE), DriftSettings())
    calm = found.assign(state=found["state"].where(found["month"] < month(11), "stable"))

    assert set(newest_alerts(found, 2)["month"]) == {month(11), month(12)}
    assert newest_alerts(calm, 2).empty


def test_a_single_scanner_is_judged_too():
    found = alerts(
        judged(*(part[part["scanner"] == "S3"] for part in hospital(1, shifts=WHOLE_SCALE)), DriftSettings())
    )

    assert found["month"].min() == month(9)


def test_nothing_read_is_nothing_judged():
    assert judged(*(part.iloc[:0] for part in hospital(1)), DriftSettings()).empty
