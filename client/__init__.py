"""What a training loop holds: the service handle and its iterators."""
