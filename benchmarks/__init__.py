"""Measurements, repeatable and side by side; results stand in RESULTS.md."""
