"""The shipped dataset manifests and the published results, as YAML."""
