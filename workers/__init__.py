"""Computes it: lease to blocks, in processes of their own."""
