"""Compiled loops over contiguous buffers; Python and NumPy above them stay small."""
