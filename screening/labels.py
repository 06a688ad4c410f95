"""What every screen, export and printed table must say."""

from typing import Final

NOTICE: Final = (
    "Research and quality-improvement software, not a medical device. BMD_CNN is not a DXA. "
    "Not flagged does not mean normal."
)
SIMULATED_NOTICE: Final = "BMD_CNN is trained on simulated CT"
