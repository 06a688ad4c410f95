"""Who is on the worklist."""

import pandas as pd

from dashboard import queries


def worklist(
    published: queries.Publication, sexes: list[str], youngest_years: int, oldest_years: int, search: str
) -> pd.DataFrame:
    """List the flagged patients of these sexes and ages (completed years) whose ID contains the search text."""
    return queries.answer(
        published,
        "worklist",
        {
            "sexes": sorted(sexes),
            "youngest_years": youngest_years,
            "oldest_years": oldest_years,
            "search": search.strip(),
        },
    )
