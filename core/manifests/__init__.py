"""Dataset manifests: splits, structure, probe and gallery rules, published numbers."""

from core.manifests.load import load_manifest, manifest_names, parse_manifest
from core.manifests.published import PublishedTable, load_published
from core.manifests.schema import (
    Condition,
    DatasetManifest,
    Protocol,
    Structure,
    Subjects,
    TypeRule,
)

__all__ = [
    "Condition",
    "DatasetManifest",
    "Protocol",
    "PublishedTable",
    "Structure",
    "Subjects",
    "TypeRule",
    "load_manifest",
    "load_published",
    "manifest_names",
    "parse_manifest",
]
