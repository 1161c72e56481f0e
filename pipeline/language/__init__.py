"""The language: the methods of Dataset, a chapter a file. Each builds a node, and nothing else."""
