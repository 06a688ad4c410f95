"""The colours of all charts.

They are of Okabe and Ito's palette (jfly.uni-koeln.de/color), which stay apart under every common colour vision; marks
differ in shape as well. Text and grid take the colours of the page's theme, light or dark.
"""

from typing import Final

BLUE: Final = "#0072B2"
SKY: Final = "#56B4E9"
GREEN: Final = "#009E73"
ORANGE: Final = "#E69F00"
VERMILION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
GREY: Final = "#7F8A93"
