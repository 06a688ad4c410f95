"""A site's own path: sweep -> DXA -> pairs -> training -> a checkpoint that reads the next sweep."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from models import checkpoint as checkpoints
from models import training
from models.pairs import Pairs, read_pairs
from screening.cli import app
from screening.config import Settings, SweepSettings
from screening.errors import UserError
from screening.exchange.pairs_export import WITHIN_DAYS, PairsExport, export_pairs
from screening.prediction.inference import load_predictor
from screening.store.database import DatabaseFolder
from screening.sweep import run_sweep

ONE_WORKER = Settings(sweep=SweepSettings(workers=1))
DXA_HEADER = "patient_id,dxa_date,region,bmd_dxa,manufacturer\n"
L2_MORE_G_CM2 = 0.1
DAYS_LATER = 10
ONE_PATIENT = "(SELECT min(patient_id) FROM validation_pair)"
WIDE = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}


def no_progress(what: str, done: int, total: int) -> None:
    pass


def query(place: DatabaseFolder, question: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(place.published.resolve(), read_only=True) as connection:
        return connection.execute(question).fetchall()


def change(place: DatabaseFolder, statement: str) -> None:
    """Alter the published file itself, as if it had been published so."""
    with duckdb.connect(place.published.resolve()) as connection:
        connection.execute(statement)


def export(place: DatabaseFolder, output: Path, manufacturer: str | None = None) -> PairsExport:
    return export_pairs(place, output, within_days=WITHIN_DAYS, manufacturer=manufacturer, progress=no_progress)


@pytest.fixture(scope="module")
def archive(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive whose files may be taken away."""
    return Path(shutil.copytree(simulated / "archive", tmp_path_factory.mktemp("site") / "archive"))


@pytest.fixture(scope="module")
def swept(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> DatabaseFolder:
    place = DatabaseFolder(tmp_path_factory.mktemp("swept"))
    run_sweep([archive], place, ONE_WORKER, progress=no_progress)
    return place


@pytest.fixture(scope="module")
def paired(swept: DatabaseFolder, tmp_path_factory: pytest.TempPathFactory) -> DatabaseFolder:
    """Every measured patient has a DXA ten days after the CT, of BMD_CNN's value; L2 was reported alone, and higher."""
    place = DatabaseFolder(Path(shutil.copytree(swept.folder, tmp_path_factory.mktemp("paired") / "db", symlinks=True)))
    measured = query(place, f"SELECT patient_id, study_date + {DAYS_LATER}, bmd_cnn FROM patient_bmd")
    whole = "".join(f"{patient},{day},L1-L4,{bmd},HOLOGIC\n" for patient, day, bmd in measured)
    alone = "".join(f"{patient},{day},L2,{bmd + L2_MORE_G_CM2},HOLOGIC\n" for patient, day, bmd in measured)
    file = tmp_path_factory.mktemp("csv") / "dxa.csv"
    file.write_text(DXA_HEADER + whole + alone)
    imported = CliRunner().invoke(app, ["import", "dxa", str(file), "--database", str(place.folder)])
    assert imported.exit_code == 0, imported.output
    return place


@pytest.fixture
def place(paired: DatabaseFolder, tmp_path: Path) -> DatabaseFolder:
    """A database of one's own to alter."""
    return DatabaseFolder(Path(shutil.copytree(paired.folder, tmp_path / "db", symlinks=True)))


@pytest.fixture
def exported(paired: DatabaseFolder, tmp_path: Path) -> tuple[PairsExport, Pairs]:
    counted = export(paired, tmp_path / "pairs.npz")
    return counted, read_pairs(tmp_path / "pairs.npz")


def test_every_paired_patient_is_written(paired: DatabaseFolder, exported: tuple[PairsExport, Pairs]) -> None:
    counted, pairs = exported
    [(patients,)] = query(paired, "SELECT count(*) FROM validation_pair")

    assert counted.patient_count == len(np.unique(pairs.patient)) == patients
    assert (counted.body_count, counted.disc_count) == (pairs.is_body.sum(), (~pairs.is_body).sum())
    assert counted.left_out == {}


@pytest.mark.parametrize("level", ["L2", "L3"])
def test_every_level_has_the_dxa_of_l1_l4_even_beside_its_own(
    paired: DatabaseFolder, exported: tuple[PairsExport, Pairs], level: str
) -> None:
    _, pairs = exported
    whole = np.sort(np.ravel(query(paired, "SELECT bmd_dxa FROM validation_pair")))

    np.testing.assert_allclose(np.unique(pairs.bmd_g_cm2[pairs.level == level]), whole, atol=1e-6)


def test_labels_are_what_the_sweep_read(paired: DatabaseFolder, exported: tuple[PairsExport, Pairs]) -> None:
    _, pairs = exported
    read = query(paired, "SELECT level, body_depth_mm FROM vertebra WHERE used")

    expected = {(level, np.float32(depth)) for level, depth in read}
    assert set(zip(pairs.level.tolist(), pairs.depth_mm, strict=True)) == expected


def test_the_crops_are_those_the_network_read(exported: tuple[PairsExport, Pairs], paired: DatabaseFolder) -> None:
    """The middle of a crop, read by the same network, gives the attenuation that the sweep stored."""
    _, pairs = exported
    bodies = pairs.crops_hu[pairs.is_body][:, 8:88, 8:88]
    stored = query(
        paired,
        "SELECT slice_prediction.attended_hu FROM slice_prediction JOIN vertebra USING (study_instance_uid, level) "
        "WHERE used",
    )

    read = load_predictor(device="cpu")(bodies).attended_hu

    np.testing.assert_allclose(np.sort(read), np.sort(np.ravel(stored)), atol=0.5)


def test_no_identifier_is_in_the_file(paired: DatabaseFolder, tmp_path: Path) -> None:
    export(paired, tmp_path / "pairs.npz")
    known = query(paired, "SELECT patient_id FROM patient UNION SELECT study_instance_uid FROM study")

    with np.load(tmp_path / "pairs.npz") as file:
        texts = {str(text) for name in ("patient", "level") for text in file[name]}

    assert texts.isdisjoint({str(identifier) for (identifier,) in known})
    assert all(len(text) == 32 or text in {"L1", "L2", "L3", "L4"} for text in texts)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE study SET fingerprint = 'other'", "changed_since_it_was_read"),
        ("UPDATE series_index SET present = false", "gone_from_archive"),
        ("UPDATE study_bmd SET contrast_enhanced = true", "contrast"),
    ],
)
def test_a_study_that_cannot_be_learned_from_is_counted(place: DatabaseFolder, statement: str, reason: str) -> None:
    change(place, f"{statement} WHERE study_instance_uid = (SELECT min(study_instance_uid) FROM validation_pair)")

    counted = export(place, place.folder / "pairs.npz")

    assert counted.left_out == {reason: 1}
    assert counted.patient_count + 1 == len(query(place, "FROM validation_pair"))


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM dxa WHERE region = 'L1-L4'", "UPDATE dxa SET bmd_dxa = NULL, t_score = -1 WHERE region = 'L1-L4'"],
)
def test_a_patient_without_areal_bmd_of_l1_l4_is_counted(place: DatabaseFolder, statement: str) -> None:
    change(place, f"{statement} AND patient_id = {ONE_PATIENT}")

    counted = export(place, place.folder / "pairs.npz")

    assert counted.left_out == {"no_bmd_of_l1_l4": 1}
    assert counted.patient_count == len(query(place, "FROM validation_pair WHERE bmd_dxa IS NOT NULL"))


def test_pairs_of_one_manufacturer_need_no_choice(exported: tuple[PairsExport, Pairs]) -> None:
    counted, _ = exported

    assert counted.manufacturer == "Hologic"


def test_one_manufacturer_in_two_spellings_is_one(place: DatabaseFolder) -> None:
    change(place, f"UPDATE dxa SET manufacturer = ' Hologic' WHERE patient_id = {ONE_PATIENT}")

    assert export(place, place.folder / "pairs.npz").left_out == {}


@pytest.mark.parametrize(("manufacturer", "named"), [("GE Lunar", "GE Lunar"), ("", "unknown")])
def test_scales_are_not_mixed_without_a_choice(place: DatabaseFolder, manufacturer: str, named: str) -> None:
    [(patients,)] = query(place, "SELECT count(*) FROM validation_pair")
    change(place, f"UPDATE dxa SET manufacturer = '{manufacturer}' WHERE patient_id = {ONE_PATIENT}")

    with pytest.raises(UserError, match="choose one with --manufacturer") as refused:
        export(place, place.folder / "pairs.npz")

    assert f"{named} (1 patients)" in str(refused.value)
    assert f"Hologic ({patients - 1} patients)" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (place.folder / "pairs.npz").exists()


def test_the_other_manufacturers_are_left_out_and_counted(place: DatabaseFolder) -> None:
    [(patients,)] = query(place, "SELECT count(*) FROM validation_pair")
    change(place, f"UPDATE dxa SET manufacturer = 'GE Lunar' WHERE patient_id = {ONE_PATIENT}")

    counted = export(place, place.folder / "pairs.npz", manufacturer="ge lunar")

    assert counted.manufacturer == "GE Lunar"
    assert counted.patient_count == 1
    assert counted.left_out == {"other_manufacturer": patients - 1}


def test_of_two_dxa_of_a_patient_that_of_the_manufacturer_is_taken(place: DatabaseFolder) -> None:
    """Here the DXA of another manufacturer lies nearer to the CT."""
    change(
        place,
        "INSERT INTO dxa BY NAME SELECT patient_id, dxa_date - 1 AS dxa_date, region, 1.5 AS bmd_dxa, t_score, "
        "'GE Lunar' AS manufacturer, source_file, imported_at FROM dxa WHERE region = 'L1-L4'",
    )
    hologic = query(place, "SELECT bmd_dxa FROM dxa WHERE region = 'L1-L4' AND manufacturer = 'Hologic' ORDER BY 1")

    counted = export(place, place.folder / "pairs.npz", manufacturer="Hologic")

    pairs = read_pairs(place.folder / "pairs.npz")
    assert counted.left_out == {}
    np.testing.assert_allclose(np.unique(pairs.bmd_g_cm2), np.ravel(hologic), atol=1e-6)


def test_a_manufacturer_without_pairs_is_refused_with_those_there_are(place: DatabaseFolder) -> None:
    with pytest.raises(UserError, match="'Norland': choose --manufacturer from Hologic"):
        export(place, place.folder / "pairs.npz", manufacturer="Norland")


def test_the_command_names_the_manufacturer_it_wrote(place: DatabaseFolder) -> None:
    change(place, f"UPDATE dxa SET manufacturer = 'GE [Lunar]' WHERE patient_id = {ONE_PATIENT}")

    ended = CliRunner().invoke(
        app,
        ["export", "pairs", str(place.folder / "pairs.npz"), "--database", str(place.folder)]
        + ["--manufacturer", "GE [Lunar]"],
        env=WIDE,
    )

    assert "Written: 1 patients with DXA of manufacturer GE [Lunar]." in ended.output


def test_when_nothing_is_left_the_reasons_are_said(place: DatabaseFolder) -> None:
    change(place, "UPDATE series_index SET present = false")

    with pytest.raises(UserError, match="gone_from_archive"):
        export(place, place.folder / "pairs.npz")
    assert not (place.folder / "pairs.npz").exists()


@pytest.fixture
def moved_away(archive: Path) -> Iterator[None]:
    """The archive is not mounted."""
    archive.rename(archive.with_name("elsewhere"))
    yield
    archive.with_name("elsewhere").rename(archive)


@pytest.mark.usefixtures("moved_away")
def test_files_that_vanished_since_the_sweep_are_counted(paired: DatabaseFolder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gone_from_archive"):
        export(paired, tmp_path / "pairs.npz")


@pytest.mark.parametrize(("within_days", "found"), [(DAYS_LATER - 1, False), (DAYS_LATER, True)])
def test_the_dxa_must_lie_near_enough(paired: DatabaseFolder, tmp_path: Path, within_days: int, found: bool) -> None:
    ended = CliRunner().invoke(
        app,
        ["export", "pairs", str(tmp_path / "pairs.npz"), "--database", str(paired.folder)]
        + ["--within-days", str(within_days)],
        env=WIDE,
    )

    assert (tmp_path / "pairs.npz").exists() == found
    assert ("are few to train on" in ended.output) == found
    assert isinstance(ended.exception, UserError) != found


def test_without_dxa_it_says_what_to_do(swept: DatabaseFolder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="screening import dxa"):
        export(swept, tmp_path / "pairs.npz")


def test_without_a_database_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run screening sweep"):
        export(DatabaseFolder(tmp_path), tmp_path / "pairs.npz")


def test_a_folder_that_is_not_there_is_named_before_anything_is_read(paired: DatabaseFolder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        export(paired, tmp_path / "none" / "pairs.npz")


def of_many_patients(pairs: Pairs, times: int) -> Pairs:
    """Give the same pictures to many patients: an interval takes nine of its own, and drawing sixty takes minutes."""
    copies = [replace(pairs, patient=np.char.add(pairs.patient, f"-{number}")) for number in range(times)]
    joined = copies[0]
    for copy in copies[1:]:
        joined = joined.with_others(copy)
    return joined


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_what_is_trained_on_exported_pairs_reads_the_next_sweep(
    archive: Path, paired: DatabaseFolder, place: DatabaseFolder, tmp_path: Path
) -> None:
    export(paired, tmp_path / "few.npz")
    pairs = of_many_patients(read_pairs(tmp_path / "few.npz"), 40)
    np.savez(tmp_path / "pairs.npz", **{name: getattr(pairs, name) for name in Pairs.__slots__})
    new = tmp_path / "site.safetensors"

    status = training.main(
        [str(tmp_path / "pairs.npz"), "--output", str(new), "--data-kind", "site", "--device", "cpu"]
        + ["--start-from", str(checkpoints.bundled()), "--seed", "1"]
        + ["--steps", "2", "--members", "1", "--batch", "4", "--phantoms", "10"]
    )

    assert status == 0
    assert load_predictor(new, "cpu").facts.data_kind == "site"
    (tmp_path / "screening.toml").write_text(f'[prediction]\ncheckpoint = "{new}"\n')
    settings = Settings.load(tmp_path / "screening.toml").overridden({"sweep": {"workers": 1}})
    result = run_sweep([archive], place, settings, progress=no_progress)
    assert result.failed_count == 0
    assert query(place, "SELECT name, data_kind FROM model WHERE active") == [("site", "site")]
