"""How the shares of the quality rules are counted."""

from quality import Body, table

from screening.imaging.body_quality import BodyQuality
from screening.prediction.patient import LevelProblem

QUALITY = BodyQuality(None, None, 0.2, 0.0, 0.0)


def a_body(loss: float = 0.0, *, implant: bool = False, problem: LevelProblem | None = None, mm: float = 5.0) -> Body:
    return Body("S", "L1", mm, loss, implant, QUALITY, problem)


def test_every_rule_is_counted_over_the_bodies_it_is_about() -> None:
    lines = table(
        [
            a_body(0.3, problem=LevelProblem.HEIGHT_LOSS),
            a_body(0.2),
            a_body(0.17, problem=LevelProblem.HEIGHT_LOSS),
            a_body(problem=LevelProblem.HEIGHT_LOSS),
            a_body(mm=3.0),
            a_body(implant=True, problem=LevelProblem.METAL),
            a_body(0.4, implant=True, problem=LevelProblem.METAL),
        ]
    )

    assert [line.split("| ")[-1] for line in lines[2:]] == [
        "50.0% (1/2) |",
        "100.0% (1/1) |",
        "100.0% (1/1) |",
        "0.0% (0/1) |",
        "100.0% (2/2) |",
        "100.0% (5/5) |",
        "100.0% (5/5) |",
        "100.0% (2/2) |",
    ]


def test_a_rule_without_bodies_says_none() -> None:
    assert "| none |" in table([a_body()])[2]
