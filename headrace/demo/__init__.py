"""The main job, to be watched: real photographs, a service, a classifier that learns."""
