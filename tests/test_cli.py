"""Exit statuses and messages of the command line, as a shell sees them."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

DXA_HEADER = "patient_id,dxa_date,region,bmd_dxa,t_score,manufacturer\n"


def screening(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from screening.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_an_expected_error_is_one_line_and_status_1(tmp_path: Path) -> None:
    ended = screening("sweep", tmp_path / "none", "--database", tmp_path / "db", "--workers", 1)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("screening: Expected a folder to sweep")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[sweep]\nworkers = -1\n", "setting sweep.workers"),
        ("[sweep]\nworkers_min = 3\nworkers_max = 2\n", "setting sweep: workers_min is more than workers_max"),
        ('[sweep]\nmemory_limit = "6 apples"\n', "setting sweep.memory_limit"),
        ('[sweep]\ntls_key_file = "key.pem"\n', "tls_key_file needs tls_cert_file"),
        ('[sweep.path_mapping]\narchive = "/mnt"\n', "setting sweep.path_mapping"),
        ("[sweep]\nworker = 1\n", "setting sweep.worker: there is no such setting"),
        ("[sweep]\nworkers = -1\nworker = 1\n", "equal to 0; setting sweep.worker: there is no such setting"),
        ("[eligibility]\nmaximum_spacing = 5\n", "setting eligibility.maximum_spacing"),
        ('[prediction]\nreference = "mine"\n', "setting prediction.reference"),
        ("[prediction]\nreaders_disagree_hu = 0\n", "setting prediction.readers_disagree_hu"),
        ("[eligibility]\nenhanced_aorta_hu = nan\n", "setting eligibility.enhanced_aorta_hu"),
        ("[eligibility]\nmaximum_spacing_mm = -5\n", "setting eligibility.maximum_spacing_mm"),
        ("sweep = [", "not valid TOML"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, content: str, message: str) -> None:
    config = tmp_path / "screening.toml"
    config.write_text(content)
    ended = screening("config", "--config", config)
    assert ended.returncode == 1
    assert message in ended.stderr


def test_a_file_that_a_setting_names_in_vain_is_told_before_the_night(tmp_path: Path) -> None:
    config, there = tmp_path / "screening.toml", tmp_path / "ca.pem"
    there.touch()
    config.write_text(f'[sweep]\ntls_ca_file = "{there}"\n[records]\ncrosswalk = "{tmp_path / "none.csv"}"\n')
    ended = screening("config", "--config", config)
    assert ended.returncode == 1
    assert f"records.crosswalk = {tmp_path / 'none.csv'}:" in ended.stderr
    assert "tls_ca_file" not in ended.stderr
    assert json.loads(ended.stdout)["records"]["crosswalk"] == str(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--device", "gpu", "setting prediction.device"),
        ("--scheduler", "nonsense", "No Dask scheduler answers"),
        ("--until", "6 o'clock", "Expected a time of day as HH:MM"),
    ],
)
def test_a_wrong_option_is_an_expected_error(tmp_path: Path, option: str, value: str, message: str) -> None:
    (tmp_path / "archive").mkdir()
    ended = screening("sweep", tmp_path / "archive", "--database", tmp_path / "db", option, value)
    assert ended.returncode == 1
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_file_is_no_folder_to_simulate_into(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    ended = screening("simulate", tmp_path / "file", "--patients", 1)
    assert ended.returncode == 1
    assert "Cannot make the folder" in ended.stderr


def test_wrong_usage_is_status_2() -> None:
    assert screening("sweep").returncode == 2
    assert screening("simulate", "x", "--institution", 3).returncode == 2
    assert screening("nonsense").returncode == 2


def test_the_settings_in_force_are_shown_as_json() -> None:
    shown = json.loads(screening("config", "--show").stdout)
    assert shown["care_gap"]["look_back_months"] == 36
    assert shown["eligibility"]["allow_enhanced"] is False


def test_dxa_is_imported_and_refused_rows_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "dxa.csv"
    file.write_text(DXA_HEADER + "A,2024-01-02,L1-L4,0.81,,H\nA,2024-01-02,L1-L4,81,,H\n")

    first = screening("import", "dxa", file, "--database", tmp_path / "db", "--create")
    second = screening("import", "dxa", file, "--database", tmp_path / "db")

    assert first.returncode == second.returncode == 0
    assert "1 accepted (0 added, 0 updated, 1 unchanged), 1 refused" in second.stdout
    with duckdb.connect(tmp_path / "db" / "screening.duckdb", read_only=True) as connection:
        assert connection.execute("SELECT patient_id, bmd_dxa FROM dxa").fetchall() == [("A", 0.81)]
        assert connection.execute("SELECT row_number, record FROM rejected_record").fetchall()[0][0] == 3


def test_a_dashboard_without_database_says_what_to_do(tmp_path: Path) -> None:
    ended = screening("dashboard", "--database", tmp_path)
    assert ended.returncode == 1
    assert "run screening sweep" in ended.stderr


def test_a_damaged_checkpoint_is_an_expected_error(tmp_path: Path) -> None:
    checkpoint = tmp_path / "broken.safetensors"
    checkpoint.write_bytes(b"not a checkpoint")
    config = tmp_path / "screening.toml"
    config.write_text(f'[prediction]\ncheckpoint = "{checkpoint}"\n')
    (tmp_path / "archive").mkdir()
    ended = screening("sweep", tmp_path / "archive", "--database", tmp_path / "db", "--config", config)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr


def test_simulated_archives_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert screening("simulate", tmp_path / name, "--patients", 1, "--seed", 5, "--matrix", 128).returncode == 0
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) > 20
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


def test_a_large_archive_of_headers_is_written(tmp_path: Path) -> None:
    ended = screening("simulate", tmp_path, "--headers-only", 300, "--seed", 3)
    assert ended.returncode == 0, ended.stderr
    assert sum(path.is_file() for path in (tmp_path / "archive").rglob("*")) == 300
    assert f"screening sweep {tmp_path / 'archive'}" in ended.stdout.replace("\n", "")
