"""Patients with exactly known bone density, written as DICOM CT and DXA."""
