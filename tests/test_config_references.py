"""A site names its own reference population, and is told what is wrong with it."""

from pathlib import Path

import pytest

from screening.config import Settings
from screening.errors import UserError
from screening.prediction.tscore import OsteoporosisRule

OURS = '[prediction.references.ours]\nmean_g_cm2 = 1.01\nsd_g_cm2 = 0.12\nsource = "women of the site, 2020"\n'


def load(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "screening.toml"
    file.write_text(text, encoding="utf-8")
    return Settings.load(file)


def test_a_reference_of_the_site_is_used(tmp_path: Path) -> None:
    standard = load(
        tmp_path, f'[prediction]\nreference = "ours"\nosteoporosis_rule = "yam"\n{OURS}'
    ).prediction.standard()
    assert (standard.reference.name, standard.reference.mean_g_cm2, standard.reference.sd_g_cm2) == ("ours", 1.01, 0.12)
    assert standard.reference.source == "women of the site, 2020"
    assert not standard.reference.verified
    assert standard.rule is OsteoporosisRule.YAM


def test_the_references_of_the_software_stay_known(tmp_path: Path) -> None:
    known = load(tmp_path, OURS).prediction.known_references()
    assert {"ours", "hologic_l1_l4_female", "japan_l2_l4_hologic"} <= set(known)


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ('[prediction]\nreference = "theirs"\n' + OURS, "prediction.reference"),
        (OURS.replace("ours", "hologic_l1_l4_female"), "prediction.references"),
        (OURS.replace("1.01", "101"), "prediction.references.ours.mean_g_cm2"),
        (OURS.replace("0.12", "0"), "prediction.references.ours.sd_g_cm2"),
        (OURS.replace("women of the site, 2020", ""), "prediction.references.ours.source"),
        ('[prediction]\nosteoporosis_rule = "z"\n', "prediction.osteoporosis_rule"),
    ],
)
def test_what_is_wrong_with_a_reference_is_told(tmp_path: Path, text: str, setting: str) -> None:
    with pytest.raises(UserError, match=f"setting {setting}:"):
        load(tmp_path, text)


def test_settings_keep_the_references_when_the_command_line_overrides(tmp_path: Path) -> None:
    settings = load(tmp_path, f'[prediction]\nreference = "ours"\n{OURS}').overridden({"sweep": {"workers": 1}})
    assert settings.prediction.standard().reference.name == "ours"
