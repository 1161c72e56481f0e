"""Orders, shuffles, batches and delivers what the workers computed."""
