"""Pages run by Streamlit's own test harness, and what they say."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

from dashboard import queries
from screening.labels import NOTICE

APP = Path(queries.__file__).with_name("app.py")


def run_worklist() -> AppTest:
    return AppTest.from_file(APP, default_timeout=30).run()


def run_page(name: str, **address: str) -> AppTest:
    """Run the page of this name, e.g. "sweeps", with these parameters in its address."""
    at = AppTest.from_file(APP, default_timeout=30).run().switch_page(f"screens/{name}.py")
    at.query_params.update(address)
    return at.run()


def run_patient(**address: str) -> AppTest:
    return run_page("patient", **address)


def written(at: AppTest) -> str:
    """Return all text of the page."""
    elements = [*at.title, *at.subheader, *at.markdown, *at.caption, *at.info, *at.warning, *at.error]
    metrics = [f"{metric.label} {metric.value} {metric.delta}" for metric in at.metric]
    return "\n".join([str(element.value) for element in elements] + metrics)


def assert_labelled(at: AppTest) -> None:
    assert not at.exception
    assert NOTICE in written(at)
