"""Structured log lines that name a study by a keyed digest and never hold a patient's name or identifier."""

import hmac
import logging
import secrets
import sys
from pathlib import Path
from typing import Final, Literal

import structlog

_KEY_BYTES: Final = 32
_KEY_CHARACTERS: Final = 32


def configure_logging(*, json_lines: bool) -> None:
    """Send log lines to standard error: JSON for machines, readable text for people."""
    for chatty in ("pydicom", "distributed", "bokeh", "tornado", "asyncio", "highdicom"):
        logging.getLogger(chatty).setLevel(logging.ERROR)  # pydicom's warnings quote header values
    renderer = structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def site_key(path: Path) -> bytes:
    """Read the site's secret, making it at first use (mode 0600, written whole or not at all)."""
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        unfinished.touch(mode=0o600)
        unfinished.write_bytes(secrets.token_bytes(_KEY_BYTES))
        unfinished.replace(path)
    return path.read_bytes()


def study_key(study_instance_uid: str, key: bytes) -> str:
    """Name a study in logs and file names without telling which it is (HMAC-SHA-256)."""
    return hmac.digest(key, study_instance_uid.encode(), "sha256").hex()[:_KEY_CHARACTERS]


def patient_key(patient_id: str, key: bytes) -> str:
    """Name a patient in files that leave the database without telling who it is (HMAC-SHA-256)."""
    return hmac.digest(key, b"patient " + patient_id.encode(), "sha256").hex()[:_KEY_CHARACTERS]


def research_key(kind: Literal["patient", "study"], identifier: str, key: bytes) -> str:
    """Name a patient or study in the pseudonymised database, otherwise than in logs, files and addresses.

    SQL makes the same (screening/exchange/research/keys.sql); with the site's secret, this finds who a row is of.
    """
    return hmac.digest(key, f"research {kind} {identifier}".encode(), "sha256").hex()[:_KEY_CHARACTERS]
