"""How densitometers spell their maker -> one name a maker, so that one scale is one value."""

import re
from collections.abc import Mapping
from typing import Final

# Makers bought by another one keep their scale: Lunar is GE's, whatever the label says.
_MAKERS: Final = (
    ("GE", re.compile(r"\bge\b|general electric|\bgehc\b|\bgems\b|lunar|\bprodigy\b|\bidxa\b|\bencore\b")),
    ("Hologic", re.compile(r"hologic|\bqdr\b|\bapex\b|\bdiscovery\b|\bhorizon\b")),
    ("Norland", re.compile(r"norland|cooper ?surgical")),
    ("Osteosys", re.compile(r"osteo ?sys|\bprimus\b")),
    ("DMS", re.compile(r"\bdms\b|medi ?link|\bstratos\b")),
    ("Hitachi", re.compile(r"hitachi|aloka")),
    ("Toshiba", re.compile(r"toshiba")),
)


def maker_of(text: str, extra: Mapping[str, str]) -> str:
    """Return the common name of a maker; one that is not known keeps its spelling, without spare spaces.

    Args:
        text: manufacturer, model or software as a record names it.
        extra: further spellings of a site, in lower case, and the name each one means.
    """
    plain = " ".join(text.split())
    words = plain.lower().replace("_", " ")
    return extra.get(words) or known_maker(words) or plain


def known_maker(text: str) -> str:
    """Return the name of the maker that the text holds, or nothing."""
    words = text.lower().replace("_", " ")
    return next((maker for maker, spelling in _MAKERS if spelling.search(words)), "")
