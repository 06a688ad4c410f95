"""What a person says of a whole import: that it corrects, and when its results were issued."""

from dataclasses import dataclass, replace
from datetime import datetime

from screening.records.batch import Batch

_FINAL = ("", "final", "f")


@dataclass(frozen=True, slots=True)
class Correction:
    """What is added to records that do not say it themselves."""

    corrects: bool = False
    issued_at: datetime | None = None

    def applied(self, batch: Batch) -> Batch:
        """Mark final results as corrected, and date those without a time of issue."""
        records = batch.records
        if self.corrects:
            final = records["status"].str.strip().str.lower().isin(_FINAL)
            records = records.assign(status=records["status"].where(~final, "corrected"))
        if self.issued_at is not None:
            undated = records["issued_at"].str.strip() == ""
            records = records.assign(issued_at=records["issued_at"].where(~undated, self.issued_at.isoformat()))
        return replace(batch, records=records)
