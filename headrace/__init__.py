"""headrace: input pipelines that run beside your training loop."""
