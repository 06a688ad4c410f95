"""Write the bundled demonstration CT and its truth from the TotalSegmentator test volume.

    python tests/data/write_demo_ct.py FOLDER

FOLDER holds `example_ct.nii.gz`, `example_seg_fast_force_split.nii.gz` and `spine_report` from the tests of
github.com/wasserth/TotalSegmentator (Apache-2.0). Needs nibabel. Writes `screening/demo_data/totalsegmentator_example`
and `tests/data/totalsegmentator_example_truth.csv`. Values and geometry are the source's; nothing is resampled.
"""

import csv
import sys
import uuid
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, JPEGLSLossless
from scipy.ndimage import distance_transform_edt

REPOSITORY = Path(__file__).parents[2]
SERIES_FOLDER = REPOSITORY / "screening/demo_data/totalsegmentator_example"
TRUTH_FILE = REPOSITORY / "tests/data/totalsegmentator_example_truth.csv"
LABELS = {"L1": 31, "L2": 30, "L3": 29, "L4": 28, "L5": 27}  # TotalSegmentator v2 class numbers
BODY_LABEL = 1  # vertebral bodies without arches in totalseg_vertebrae_body
EROSION_MM = 4.0  # as in the source's own spine report
AXIS_RADIUS_MM = 6.0  # end plates are read this close to the body's axis
INTERCEPT_HU = -8192  # stored values stay unsigned for every HU of the source
RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])


def main(source: Path) -> None:
    hu, affine = read_nifti(source / "example_ct.nii.gz")
    labels, _ = read_nifti(source / "example_seg_fast_force_split.nii.gz")
    bodies, _ = read_nifti(source / "spine_report/example_ct_report/totalseg_vertebrae_body.nii.gz")
    write_series(hu, affine)
    write_truth(hu, {level: (labels == n) & (bodies == BODY_LABEL) for level, n in LABELS.items()}, affine)


def read_nifti(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Array (x, y, z) and the affine from voxel indices to LPS patient mm."""
    image = nibabel.Nifti1Image.from_filename(path)
    affine = np.asarray(image.affine, dtype=np.float64)
    return np.asarray(image.dataobj), np.concatenate([RAS_TO_LPS[:, None] * affine[:3], affine[3:]])


def write_series(hu: NDArray[Any], affine: NDArray[np.float64]) -> None:
    """Write one slice per z index, turned to the radiological view: rows to posterior, columns to patient left."""
    SERIES_FOLDER.mkdir(parents=True, exist_ok=True)
    for z in range(hu.shape[2]):
        corner = affine @ [hu.shape[0] - 1, hu.shape[1] - 1, z, 1]
        dataset = header(z, corner[:3], np.abs(np.diag(affine)[:3]))
        stored = (hu[::-1, ::-1, z].T - INTERCEPT_HU).astype(np.uint16)
        dataset.Rows, dataset.Columns = stored.shape
        dataset.compress(JPEGLSLossless, stored, encoding_plugin="pyjpegls", generate_instance_uid=False)
        dataset.save_as(SERIES_FOLDER / f"{z + 1:03d}.dcm", enforce_file_format=True)


def header(z: int, corner_mm: NDArray[np.float64], spacing_mm: NDArray[np.float64]) -> Dataset:
    """Header of one slice; what the NIfTI does not tell (tube voltage, kernel, scanner) is left empty."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = stable_uid(f"instance {z}")
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = stable_uid("study"), stable_uid("series")
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = stable_uid("frame of reference"), ""
    dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber = "20220101", "", ""
    dataset.Modality, dataset.Manufacturer, dataset.ReferringPhysicianName = "CT", "", ""
    dataset.StudyDescription, dataset.SeriesDescription = "CT abdomen and pelvis", "Abdomen native 3 mm"
    dataset.PatientName, dataset.PatientID = "TotalSegmentator^Example", "TOTALSEGMENTATOR-EXAMPLE"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "", "M", "055Y"
    dataset.StudyID, dataset.SeriesNumber, dataset.AcquisitionNumber, dataset.InstanceNumber = "1", 1, 1, z + 1
    dataset.KVP = None
    dataset.PatientPosition = "HFS"
    dataset.ImagePositionPatient = [f"{mm:.6f}" for mm in corner_mm]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [float(spacing_mm[1]), float(spacing_mm[0])]
    dataset.SliceThickness = float(spacing_mm[2])
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, INTERCEPT_HU, "HU"
    return dataset


def stable_uid(name: str) -> UID:
    """Return the same UID on every run (PS3.5 B.2, UUID-derived)."""
    return UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, f'totalsegmentator example ct, {name}').int}")


def write_truth(hu: NDArray[Any], bodies: dict[str, NDArray[np.bool_]], affine: NDArray[np.float64]) -> None:
    """Write centre, end plates on the body's axis, depth and eroded attenuation of each vertebral body."""
    rows = [{"level": level, **measure(hu, body, affine)} for level, body in bodies.items()]
    with TRUTH_FILE.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def measure(hu: NDArray[Any], body: NDArray[np.bool_], affine: NDArray[np.float64]) -> dict[str, float]:
    """Truth of one body mask (x, y, z); all lengths in LPS patient mm."""
    points = np.argwhere(body) @ affine[:3, :3].T + affine[:3, 3]
    centre = points.mean(axis=0)
    on_axis = points[np.hypot(*(points[:, :2] - centre[:2]).T) < AXIS_RADIUS_MM]
    half_voxel = np.abs(np.diag(affine)[:3]) / 2
    inside = hu[distance_transform_edt(body, sampling=2 * half_voxel) > EROSION_MM]
    middle = points[(np.abs(points - centre)[:, [0, 2]] < [AXIS_RADIUS_MM / 2, half_voxel[2] + 0.1]).all(axis=1)]
    return {
        "x_mm": round(centre[0], 1),
        "y_mm": round(centre[1], 1),
        "z_mm": round(centre[2], 1),
        "upper_z_mm": round(on_axis[:, 2].max() + half_voxel[2], 1),
        "lower_z_mm": round(on_axis[:, 2].min() - half_voxel[2], 1),
        "depth_mm": round(np.ptp(middle[:, 1]) + 2 * half_voxel[1], 1),
        "median_hu": round(float(np.median(inside)), 1),
        "mean_hu": round(float(inside.mean()), 1),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
