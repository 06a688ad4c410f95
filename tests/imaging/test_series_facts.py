from dicom_files import ct_slice, found, write

from screening.archive.header import read_header
from screening.archive.index import series_of
from screening.imaging.series_facts import series_facts


def test_two_machines_of_a_model_are_told_apart(tmp_path):
    paths = [
        write(tmp_path, station, ct_slice(StationName=station, SeriesInstanceUID=f"2.25.{station[-1]}"))
        for station in ("CT1", "CT2")
    ]

    facts = [series_facts(one) for one in series_of(read_header(found(path)) for path in paths).values()]

    assert [one.station_name for one in facts] == ["CT1", "CT2"]


def test_facts_of_a_stack_follow_from_its_positions(tmp_path):
    paths = [write(tmp_path, str(number), ct_slice(number)) for number in (1, 2, 3)]

    (facts,) = [series_facts(one) for one in series_of(read_header(found(path)) for path in paths).values()]

    assert (facts.spacing_mm, facts.coverage_mm, facts.obliquity_deg) == (5.0, 15.0, 0.0)
    assert (facts.station_name, facts.instance_count, facts.image_type) == ("", 3, "ORIGINAL\\PRIMARY\\AXIAL")
