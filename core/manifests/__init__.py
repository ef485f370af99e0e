"""Dataset manifests: splits, structure, probe and gallery rules, published numbers."""

from core.manifests.load import load_manifest, load_outline, manifest_names, parse_manifest
from core.manifests.protocols import Condition, Protocol, SequenceList, SideRule
from core.manifests.published import PublishedTable, load_published
from core.manifests.schema import DatasetManifest, DatasetOutline, Structure, Subjects

__all__ = [
    "Condition",
    "DatasetManifest",
    "DatasetOutline",
    "Protocol",
    "PublishedTable",
    "SequenceList",
    "SideRule",
    "Structure",
    "Subjects",
    "load_manifest",
    "load_outline",
    "load_published",
    "manifest_names",
    "parse_manifest",
]
