"""A published database for the pages, and a memory of answers that is empty at the start of each test."""

from pathlib import Path

import published_example
import pytest
import streamlit as st

from dashboard import queries


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    st.cache_data.clear()
    monkeypatch.setenv(queries.DATABASE_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture
def published(folder: Path) -> queries.Publication:
    published_example.publish_example(folder)
    return queries.publication()
