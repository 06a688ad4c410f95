"""A published database for the pages, and a memory of answers that is empty at the start of each test."""

import shutil
from pathlib import Path

import published_example
import pytest
import streamlit as st
from streamlit import config as st_config

from dashboard import queries


@pytest.fixture(scope="session")
def example_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("example")
    published_example.publish_example(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    st.cache_data.clear()
    st.cache_resource.clear()
    st_config.set_option("server.address", "127.0.0.1")
    monkeypatch.setenv(queries.DATABASE_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture
def published(folder: Path, example_folder: Path) -> queries.Publication:
    shutil.copytree(example_folder, folder, symlinks=True, dirs_exist_ok=True)
    return queries.publication()
