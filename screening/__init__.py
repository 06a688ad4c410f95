"""Read the lumbar vertebrae of archived CT that nobody measured."""
