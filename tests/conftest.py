"""Fixtures that many tests share; what is slow to make is made once a session."""

from pathlib import Path

import pytest

from screening.simulation.archive_writer import write_archive


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with archive/, dxa.csv and truth.csv of a few simulated patients."""
    folder = tmp_path_factory.mktemp("simulated")
    write_archive(folder, patients=4, seed=1, institution=1, matrix=256)
    return folder
