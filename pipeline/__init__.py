"""What to compute: elements, blocks, the operator graph, its meaning, its plan."""
