"""Stands in for jsonschema: cloud-init then skips validating the seed, which we generate."""
raise ImportError("left out to start faster")
