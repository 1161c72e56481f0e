"""The checkup: what `headrace doctor` looks at, and what it finds. One file a part of the world."""
