"""Data to try Assay on: a simulated store, and configs for public data sets."""
