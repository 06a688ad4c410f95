"""Free text and vendor codes of a header -> contrast phase, kernel sharpness, kind of picture.

Wording is local and changes over the years, so only what is unambiguous decides; the pixels have the last word on
contrast. Tables are general knowledge of the field unless a source is given.
"""

import re
from enum import StrEnum


class Phase(StrEnum):
    """What the header says about intravenous contrast."""

    UNENHANCED = "unenhanced"
    UNSTATED = "unstated"
    ENHANCED = "enhanced"


class Kernel(StrEnum):
    """Sharpness of the reconstruction kernel."""

    SOFT = "soft"
    UNSTATED = "unstated"
    SHARP = "sharp"


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


# "W/WO", "with and without": a study of both phases, says nothing about one series
_BOTH_PHASES = _any_of(
    r"\bW ?(/|&|AND|\+)? ?W ?/? ?O\b",
    r"\bW ?/? ?O ?(/|&|AND|\+) ?W\b",
    r"\bWITH ?(AND|&|/|OR) ?(/ ?OR )?WITHOUT\b",
    r"\bWITHOUT ?(AND|&|/|OR) ?WITH\b",
    r"\bMIT UND OHNE\b",
    r"\bOHNE UND MIT\b",
    r"\bAVEC ET SANS\b",
    r"\bSANS ET AVEC\b",
    r"\bPRE ?(AND|&|/|\+) ?POST\b",
)
_UNENHANCED = _any_of(
    r"\bW ?/ ?O\b",
    r"\bWO\b",
    r"\bWITHOUT\b",
    r"\bNON? ?-? ?(CON|CONT|CONTRAST|CE|ENH|ENHANCED|IV)\b",
    r"\bNONCON\w*",
    r"\bNC\b",
    r"\bNECT\b",
    r"\bNCCT\b",
    r"\bUN-?ENH\w*",
    r"\bNATIVE?\b",
    r"\bNATIF\b",
    r"\bNATIVO\b",
    r"\bPLAIN\b",
    r"\bPRE ?-? ?(CON\w*|INJ\w*|IV|KM|CE)\b",
    r"\bOHNE (KM|KONTRAST\w*)",
    r"\bSANS (IV|INJ\w*|PDC|CONTRASTE?|PRODUIT)\b",
    r"\bSIN (CONTRASTE|CIV|CTE)\b",
    r"\bSEM CONTRASTE\b",
    r"\bSENZA (MDC|CONTRASTO|M ?D ?C)\b",
    r"\bBLANCO\b",
    r"(?<![A-Z0-9])C ?-(?![A-Z0-9])",
    r"(?<![A-Z0-9])-C(?![A-Z0-9])",
    "単純",
    "平扫",
    "非造影",
)
_ENHANCED = _any_of(
    r"\bW ?/? ?(C|CE|CON|CONT|CONTR|CONTRAST|IV|IVC|INJ)\b",
    r"\bWITH (\w+ )?(IV|CONTRAST|CON|CONT)\b",
    r"(?<![A-Z0-9+])C ?\+(?! ?[A-Z0-9])",  # "ABD C+", but not "C+A+P"
    r"(?<![A-Z0-9])\+ ?C\b",
    r"\bIV CON\w*",
    r"\bCE\b",
    r"\bCECT\b",
    r"\bPOST ?-? ?(CON\w*|IV|INJ\w*|KM|CE)\b",
    r"\bENHANCED\b",
    r"\bPORTAL\w*",
    r"\bPORTO ?-?VEN\w*",
    r"\bPORT ?-?VEN\w*",
    r"\bPV[PC]?\b",
    r"\bVEN(OUS|OES|ÖS|OSA|OSO|EUX|EUSE)\w*",
    r"\bARTERI\w*",
    r"\bARTÉRI\w*",
    r"\bNEPHRO(GRAM|GRAPH)\w*",
    r"\bEXCRET\w*",
    r"\bDELAY\w*",
    r"\bTARDI\w*",
    r"\bCTA\b",
    r"(?<!NON-)(?<!NON )\bANGIO\w*",
    r"\bKM\b",  # German Kontrastmittel
    r"\b(MIT|NACH) KONTRAST\w*",
    r"\bAVEC (IV|INJ\w*|PDC|CONTRASTE?)\b",
    r"\bCON (CONTRASTE|CIV|MDC)\b",
    r"\bCOM CONTRASTE\b",
    r"\bCONTRAST\b",
    "増強",
    "增强",
    "門脈",
    "动脉",
    "動脈",
    "静脉",
    "静脈",
    "平衡相",
    "(?<!非)造影",
)
# by mouth or rectum: blood and bone keep their attenuation
_ENTERAL = re.compile(r"\b(WITHOUT |WITH |NO |WO |W ?/ ?O |W ?/? ?)?(ORAL|P ?O|RECTAL)( CON\w*)?( ONLY)?\b")
_NO_AGENT = _any_of(
    r"^(NONE|NO|N|NIL|NEIN|NON|N/?A|0|FALSE|OFF|UNKNOWN|-+)$", r"\bNON ?-?CON\w*", r"\bWITHOUT\b", r"\bW/O\b"
)
_AGENT_BY_MOUTH = _any_of(
    r"\bORAL(LY)?\b", r"\bPER OS\b", r"\bP\.?O\.?\b", r"\bRECTAL\w*", r"\bWATER\b", r"\bGASTRO\w*", r"\bREADI-?CAT\w*",
    r"\bBARIUM\w*", r"\bMILK\b", r"\bTELEBRIX GASTRO\b", r"\bNEGATIVE\b",
)  # fmt: skip
# beside an agent by mouth only these tell of a second one; brand names do not, they are also drunk
_AGENT_BY_VEIN_TOO = _any_of(r"\bI\.?V\.?\b", r"&", r"\+", r"/", r",", r"\bAND\b")


def phase_in_text(text: str) -> Phase:
    """What one description says about intravenous contrast; "W/O CONTRAST" is not "CONTRAST"."""
    words = re.sub(r"[_\s.,;:()\[\]]+", " ", text.upper()).strip()
    words = _ENTERAL.sub(" ", words)
    if _BOTH_PHASES.search(words):
        return Phase.UNSTATED
    if _UNENHANCED.search(words):
        return Phase.UNENHANCED
    if _ENHANCED.search(words):
        return Phase.ENHANCED
    return Phase.UNSTATED


def phase_of_agent(contrast_bolus_agent: str | None) -> Phase:
    """What ContrastBolusAgent (0018,0010) says; it is Type 2 and often empty although contrast was given.

    Agents by mouth or rectum alone leave blood and bone as they are.
    """
    agent = (contrast_bolus_agent or "").strip().upper()
    if not agent or _NO_AGENT.search(agent):
        return Phase.UNSTATED
    if _AGENT_BY_MOUTH.search(agent) and not _AGENT_BY_VEIN_TOO.search(agent):
        return Phase.UNSTATED
    return Phase.ENHANCED


# Siemens: family letter(s) and a resolution index, e.g. B30f, I70f, Br40d, Bl57, Qr36; higher is sharper
# (diagnosticradphys.com, Siemens CT reconstruction kernels); from 55 on meant for lung and bone.
_SIEMENS_KERNEL = re.compile(r"^([A-Z])([A-Z]?)(\d{2})[A-Z]?\b")
_SIEMENS_FAMILIES = frozenset("BIHQUJTCDPS")
_SHARP_FROM_INDEX = 55
# Canon/Toshiba: FC30-39 bone and inner ear, FC50-59 lung, FC80-89 high resolution lung and bone
_CANON_KERNEL = re.compile(r"\bFC ?0?(\d{1,2})\b")
_CANON_SHARP_TENS = frozenset({3, 5, 8})
_PHILIPS_SHARP = frozenset({"D", "E", "L", "YA", "YB", "YC", "YD"})
_PHILIPS_SOFT = frozenset({"A", "B", "C"})
_SHARP_NAME = _any_of(
    r"LUNG", r"BONE", r"\bEDGE\b", r"\bULTRA\b", r"SHARP", r"\bHRCT\b", r"\bPULMO\w*",
    r"\bKNOCHEN\b", r"\bOSSEUX\b", r"\bHUESO\b", r"\bOSSO\b", r"\bPOUMON\w*", r"骨", r"肺",
)  # fmt: skip
_SOFT_NAME = _any_of(
    r"\bSOFT\b", r"\bSTANDARD\b", r"\bSTND\b", r"\bSTD\b", r"\bBODY\b", r"\bDETAIL\b", r"\bSMOOTH\b", r"\bABD\w*",
    r"\bMEDIAST\w*", r"\bWEICHTEIL\w*", r"\bIMR\b",
)  # fmt: skip


def kernel_sharpness(convolution_kernel: str, series_description: str) -> Kernel:
    """Sharpness by ConvolutionKernel (0018,1210), or by the description where the kernel says nothing."""
    named = _kernel_by_code(_spaced(convolution_kernel.split("\\")[0]).strip())
    if named is Kernel.UNSTATED and _SHARP_NAME.search(_spaced(series_description)):
        return Kernel.SHARP
    return named


def _kernel_by_code(code: str) -> Kernel:
    canon = _CANON_KERNEL.search(code)
    if canon:
        return Kernel.SHARP if int(canon[1]) // 10 in _CANON_SHARP_TENS else Kernel.SOFT
    siemens = _SIEMENS_KERNEL.match(code)
    if siemens and siemens[1] in _SIEMENS_FAMILIES:
        made_for_lung = siemens[2] == "L"
        return Kernel.SHARP if made_for_lung or int(siemens[3]) >= _SHARP_FROM_INDEX else Kernel.SOFT
    if code in _PHILIPS_SHARP or _SHARP_NAME.search(code):
        return Kernel.SHARP
    return Kernel.SOFT if code in _PHILIPS_SOFT or _SOFT_NAME.search(code) else Kernel.UNSTATED


# Values of ImageType (0008,0008) and words of descriptions, PS3.3 C.8.2.1.1.1 and vendors' own
_LOCALIZER_TYPES = frozenset({"LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW", "SCANOGRAM"})
_LOCALIZER_WORDS = _any_of(
    r"\bLOCALI[SZ]ERS?\b", r"\bSCOUTS?\b", r"\bTOPOGRAM\w*", r"\bSURVIEW\w*", r"\bSCANO(GRAM|SCOPE)?\b", r"\bPILOT\b"
)
_DERIVED_TYPES = re.compile(
    r"MPR|MIP|MINIP|PROJECTION|PROJ|REFORMAT|VRT|\b3D\b|RENDER|SSD|SCREEN|DOSE|REPORT|SUBTRACT|PERFUSION|RCB[FV]|"
    r"\bMTT\b|\bTTP\b|\bTMAX\b|COLOR|CURVED|RESAMPLED MIP|FUSION|SECONDARY CAPTURE|THICK_SLAB"
)
_DERIVED_WORDS = re.compile(
    r"\bMINI?P\b|\bMIP\b|\bVRT\b|\bDOSE (REPORT|INFO|RECORD|SHEET)|\bSCREEN ?SAVE\b|\bPATIENT PROTOCOL\b|"
    r"\bSMART ?PREP\b|\b(PRE)?MONITORING\b|\bBOLUS TRACK\w*|\bSUBTRACT\w*|\bPERFUSION\b"
)
_SPECTRAL = re.compile(
    r"\bVNC(A)?\b|VIRTUAL ?NON|\bIODINE (MAP|OVERLAY|IMAGE|DENSITY)|\bZ ?EFF|EFFECTIVE ATOMIC|\bMONO ?E?\b|"
    r"\bMONOENERG\w*|\d ?KEV\b|ELECTRON DENSITY|\bMD (IODINE|WATER|CALCIUM)\b|\b(IODINE|WATER|CALCIUM) ?\("
)


def is_localizer(image_type: tuple[str, ...], description: str) -> bool:
    """Whether type or description name a planning radiograph."""
    types = {value.strip().upper() for value in image_type}
    return bool(types & _LOCALIZER_TYPES) or bool(_LOCALIZER_WORDS.search(_spaced(description)))


def derived_kind(image_type: tuple[str, ...], description: str) -> str:
    """The word that makes it a projection, reformat, rendering, map or report instead of axial slices, else ""."""
    found = _DERIVED_TYPES.search(" ".join(image_type[2:]).upper()) or _DERIVED_WORDS.search(_spaced(description))
    return found[0] if found else ""


def spectral_kind(image_type: tuple[str, ...], description: str) -> str:
    """The word that makes the numbers something else than HU of one tube voltage (maps, keV), else ""."""
    found = _SPECTRAL.search(" ".join(image_type[2:]).upper()) or _SPECTRAL.search(_spaced(description))
    return found[0] if found else ""


def _spaced(text: str) -> str:
    return re.sub(r"[_\s]+", " ", text.upper())
