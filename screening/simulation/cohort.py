"""Seed -> simulated people: age, sex, size and bone density as the field reports them.

Sources of the figures: trabecular attenuation by age and sex after Jang 2019 (L1, n = 20,374) and Pickhardt's
CT colonography cohort (vBMD 143.6 / 135.1 mg/cm3 at 50 and 100.8 / 107.7 at 70 years for women / men); torso
33 x 23 cm +- 4. The mix of ages and sexes of the two institutions is an assumption of the simulation.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.random import Generator, SeedSequence

MG_CM3_PER_HU = 0.85  # at 120 kVp, intercept about 0 (143.6 mg/cm3 at 165 HU, 100.8 at 117 HU)
ATTENUATION_SD_HU = 42.0  # between people of one age; 38-44 HU reported
ATTENUATION_LIMITS_HU = (20.0, 300.0)
AGE_LIMITS_YEARS = (40.0, 92.0)
AGES_YEARS = (40.0, 50.0, 60.0, 70.0, 80.0, 90.0)
WOMEN_HU = (190.0, 169.0, 142.0, 118.0, 98.0, 86.0)
MEN_HU = (177.0, 159.0, 142.0, 126.0, 114.0, 103.0)


class Stream(IntEnum):
    """Independent random streams of one patient, so that a change in one stage leaves the others alone."""

    PERSON = 0
    ANATOMY = 1
    SCANNER = 2
    NOISE = 3
    DXA = 4
    HEADER = 5
    CROPS = 6
    VESSELS = 7
    TORSO = 8
    SKELETON = 9
    PATHOLOGY = 10


@dataclass(frozen=True, slots=True)
class Institution:
    """What differs between the people two hospitals see."""

    mean_age_years: float
    sd_age_years: float
    women_share: float
    mean_body_mass_index: float


INSTITUTIONS = {
    1: Institution(mean_age_years=68.0, sd_age_years=11.0, women_share=0.64, mean_body_mass_index=25.0),
    2: Institution(mean_age_years=71.0, sd_age_years=11.0, women_share=0.55, mean_body_mass_index=27.0),
}


@dataclass(frozen=True, slots=True)
class Patient:
    """One simulated person; everything the anatomy is drawn from."""

    seed: int
    institution: int
    number: int
    age_years: float
    sex: str  # "F" or "M"
    body_mass_index: float  # kg/m2
    size: float  # vertebral size relative to the table in anatomy.py
    torso_width_mm: float
    torso_depth_mm: float
    attenuation_hu: float  # intended mean of the cancellous interior of L1-L4 at 120 kVp
    degeneration: float  # 0 to 1: osteophytes, facets, narrow discs
    calcification: float  # 0 to 1: aortic wall

    @property
    def patient_id(self) -> str:
        """Identifier that says by itself that the patient is simulated."""
        return f"SIM{self.institution}-{self.number:06d}"

    def rng(self, stream: Stream) -> Generator:
        """Return the patient's own generator for one stage."""
        return random_generator(self.seed, self.institution, self.number, stream)


def random_generator(seed: int, institution: int, number: int, stream: Stream) -> Generator:
    """Return a generator that depends on these four numbers only, not on how many patients there are."""
    return np.random.default_rng(SeedSequence([seed, institution, number, int(stream)]))


def expected_attenuation_hu(age_years: float, sex: str) -> float:
    """Return the mean trabecular attenuation at 120 kVp for an age and sex, HU."""
    return float(np.interp(age_years, AGES_YEARS, WOMEN_HU if sex == "F" else MEN_HU))


def hospital(seed: int, institution: int) -> Institution:
    """Draw one of many hospitals like an institution: which people it sees differs as it does between hospitals."""
    rng = random_generator(seed, institution, 0, Stream.PERSON)
    usual = INSTITUTIONS.get(institution, INSTITUTIONS[1])
    return Institution(
        mean_age_years=usual.mean_age_years + 3.0 * rng.normal(),
        sd_age_years=usual.sd_age_years,
        women_share=float(np.clip(usual.women_share + 0.1 * rng.normal(), 0.35, 0.8)),
        mean_body_mass_index=usual.mean_body_mass_index + 1.5 * rng.normal(),
    )


def draw_patient(seed: int, institution: int, number: int, place: Institution | None = None) -> Patient:
    """Draw one person of an institution, or of a hospital like it."""
    rng = random_generator(seed, institution, number, Stream.PERSON)
    place = place or INSTITUTIONS.get(institution, INSTITUTIONS[1])
    sex = "F" if rng.random() < place.women_share else "M"
    age = float(np.clip(rng.normal(place.mean_age_years, place.sd_age_years), *AGE_LIMITS_YEARS))
    stature = float(rng.normal())
    bmi = float(np.clip(place.mean_body_mass_index * np.exp(rng.normal(0.0, 0.16)), 16.0, 45.0))
    size = float(np.clip((0.985 if sex == "F" else 1.10) + 0.05 * stature, 0.85, 1.18))
    girth = np.sqrt(bmi / 25.0)
    width = (325.0 if sex == "F" else 342.0) * girth * (1.0 + 0.04 * rng.normal())
    depth = (222.0 if sex == "F" else 234.0) * girth**1.5 * (1.0 + 0.05 * rng.normal())
    hu = expected_attenuation_hu(age, sex) + ATTENUATION_SD_HU * rng.normal() + 0.5 * (bmi - 25.0)
    wear = 1.0 / (1.0 + np.exp(-(age - 66.0) / 9.0 - 0.9 * rng.normal()))
    chalk = 1.0 / (1.0 + np.exp(-(age - 72.0) / 7.0 - 1.2 * rng.normal()))
    return Patient(
        seed=seed,
        institution=institution,
        number=number,
        age_years=age,
        sex=sex,
        body_mass_index=bmi,
        size=size,
        torso_width_mm=float(np.clip(width, 260.0, 470.0)),
        torso_depth_mm=float(np.clip(depth, 175.0, 380.0)),
        attenuation_hu=float(np.clip(hu, *ATTENUATION_LIMITS_HU)),
        degeneration=float(wear),
        calcification=float(chalk),
    )
