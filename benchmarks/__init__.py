"""Measurements, run by hand; nothing here is asserted by a test. Each prints ratios from one interleaved run."""
