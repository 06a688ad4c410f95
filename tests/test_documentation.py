"""What the documentation says is true: commands exist, columns are commented, labels are visible."""

import re
from importlib import import_module
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from models.checkpoint import bundled
from screening.cli import app
from screening.config import Settings
from screening.labels import NOTICE
from screening.store.database import VIEWS, create_schema, fetch_one

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
WIDE = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}


def commands_in_readme() -> list[str]:
    """Every `screening ...` line of a code block, cut at the first argument that is no command or option."""
    blocks = re.findall(r"```(?:bash|sh)\n(.*?)```", README, flags=re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return sorted({line.split("#")[0].strip() for line in lines if line.startswith("screening ")})


def modules_in_readme() -> list[str]:
    """Every `python -m ...` command of a code block on one line, without `python -m` and comment."""
    blocks = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return sorted({line.split("#")[0].removeprefix("python -m ") for line in lines if line.startswith("python -m ")})


@pytest.mark.parametrize("line", commands_in_readme())
def test_documented_commands_and_options_exist(line: str) -> None:
    words = line.split()[1:]
    command = words[:2] if words[0] in ("import", "export", "model") else words[:1]
    help_text = CliRunner().invoke(app, [*command, "--help"], env=WIDE)
    assert help_text.exit_code == 0, help_text.output
    for option in (word for word in words if word.startswith("--")):
        assert option in help_text.output


@pytest.mark.parametrize("line", modules_in_readme())
def test_documented_modules_and_their_options_exist(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    module, *words = line.split()
    with pytest.raises(SystemExit, match="0"):
        import_module(module).main(["--help"])
    help_text = capsys.readouterr().out
    for option in (word for word in words if word.startswith("--")):
        assert option in help_text


DOCUMENTED_SETTINGS = re.findall(r"```toml\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("settings", DOCUMENTED_SETTINGS)
def test_documented_settings_are_valid(settings: str, tmp_path: Path) -> None:
    file = tmp_path / "screening.toml"
    file.write_text(settings, encoding="utf-8")
    assert Settings.load(file) != Settings()


def test_sites_go_on_from_the_bundled_weights() -> None:
    assert f"--start-from models/weights/{bundled().name} " in README


def test_the_readme_shows_every_command() -> None:
    shown = {line.split()[1] for line in commands_in_readme()}
    registered = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    groups = {group.name for group in app.registered_groups}
    assert shown == registered | groups


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"make ([a-z]+)", README)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_every_column_carries_a_comment() -> None:
    connection = duckdb.connect()
    create_schema(connection)
    uncommented = connection.execute(
        "SELECT relation || '.' || column_name FROM data_dictionary WHERE comment IS NULL"
    ).fetchall()
    assert uncommented == []


def test_every_table_has_a_primary_key_and_every_view_a_question() -> None:
    connection = duckdb.connect()
    create_schema(connection)
    keyless = connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT has_primary_key").fetchall()
    assert keyless == []
    for view in VIEWS:
        text = (ROOT / "screening" / "store" / "views" / f"{view}.sql").read_text(encoding="utf-8")
        assert text.startswith("-- ") and text.splitlines()[0].endswith("?")


@pytest.mark.parametrize("document", ["README.md", "models/MODEL_CARD.md"])
def test_the_labels_are_visible(document: str) -> None:
    text = " ".join((ROOT / document).read_text(encoding="utf-8").replace("\n> ", " ").split())
    assert NOTICE in text
    assert "trained on simulated CT" in text


def test_every_column_of_the_contract_exists() -> None:
    connection = duckdb.connect()
    create_schema(connection)
    columns = set(connection.execute("SELECT relation || '.' || column_name FROM data_dictionary").fetchall())
    promised = {
        "outcome": "study_instance_uid status reason",
        "series": "series_instance_uid study_instance_uid reason chosen",
        "vertebra": "study_instance_uid series_instance_uid level centre_x_mm centre_y_mm centre_z_mm upper_z_mm "
        "lower_z_mm attenuation_hu bmd_cnn used reason",
        "study_bmd": "study_instance_uid patient_id bmd_cnn bmd_low bmd_high t_score category level_certainty "
        "checkpoint_sha256",
        "dxa": "patient_id dxa_date region bmd_dxa t_score manufacturer",
    }
    assert {(f"{table}.{column}",) for table, names in promised.items() for column in names.split()} <= columns


@pytest.mark.parametrize(
    ("view", "column", "said"),
    [
        ("flagged", "t_score", "BMD_CNN as standard deviations"),
        ("worklist", "z_score", "BMD_CNN as standard deviations"),
        ("patient_bmd", "levels", "entered the mean"),
        ("drift_alert", "value", "in the unit of the metric"),
        ("open_reject", "reason", "Rule that refused it"),
    ],
)
def test_column_of_a_view_is_explained_by_the_table_it_is_from(view: str, column: str, said: str) -> None:
    connection = duckdb.connect()
    create_schema(connection)
    asked = "SELECT comment FROM duckdb_columns() WHERE table_name = ? AND column_name = ?"

    assert said in fetch_one(connection, asked, [view, column])[0]
