"""The import rules of the house: stages look one way, torch and DuckDB each have one door."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("screening", "models", "dashboard")


def modules() -> dict[str, set[str]]:
    """Map each module of ours to the dotted names it imports."""
    files = [path for package in OURS for path in sorted((ROOT / package).rglob("*.py"))]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): set(imports(path)) for path in files}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


IMPORTS = modules()


def offenders(within: str, forbidden: tuple[str, ...], *, but: tuple[str, ...] = ()) -> list[str]:
    """List 'module imports name' for modules at or below `within` that import what they must not."""
    return [
        f"{module} imports {name}"
        for module, names in IMPORTS.items()
        for name in sorted(names)
        if below(module, within) and module not in but and any(below(name, banned) for banned in forbidden)
    ]


def below(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize(
    ("within", "forbidden"),
    [
        ("models", ("screening", "dashboard", "pydicom", "duckdb", "dask", "distributed", "streamlit")),
        ("screening.archive", ("screening.imaging", "screening.prediction", "screening.store", "screening.records")),
        ("screening.imaging", ("torch", "duckdb", "dask", "distributed", "screening.prediction")),
        ("screening.imaging", ("screening.store",)),
        ("screening.prediction", ("screening.store", "duckdb", "dask", "distributed")),
        ("screening.records", ("screening.store", "duckdb")),
        ("screening.simulation", ("screening.store", "duckdb", "torch", "models", "dask", "distributed")),
        ("screening.reading", ("screening.store", "duckdb", "dask", "distributed", "torch")),
        ("screening", ("streamlit", "plotly", "dashboard")),
        ("dashboard", ("torch", "dask", "distributed", "pydicom", "models")),
    ],
)
def test_packages_do_not_look_the_wrong_way(within: str, forbidden: tuple[str, ...]) -> None:
    assert offenders(within, forbidden) == []


def test_torch_and_the_models_have_one_door() -> None:
    assert offenders("screening", ("torch", "models"), but=("screening.prediction.inference",)) == []


def test_only_the_queries_of_the_dashboard_open_duckdb() -> None:
    assert offenders("dashboard", ("duckdb",), but=("dashboard.queries", "dashboard.console_process")) == []


def test_the_rules_see_the_house() -> None:
    """A rule over no module would hold for ever."""
    assert "torch" in {name.split(".")[0] for name in IMPORTS["screening.prediction.inference"]}
    assert "duckdb" in {name.split(".")[0] for name in IMPORTS["dashboard.queries"]}


def test_every_package_has_a_docstring_and_nothing_else() -> None:
    packages = [path for package in OURS for path in sorted((ROOT / package).rglob("__init__.py"))]
    assert len(packages) >= 8
    contents = {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")).body for path in packages}
    assert [name for name, body in contents.items() if len(body) > 1] == []


def test_git_does_not_ignore_the_models() -> None:
    patterns = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert [pattern for pattern in patterns if "models" in pattern or "weights" in pattern] == []
