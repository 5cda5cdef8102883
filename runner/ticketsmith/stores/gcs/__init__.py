"""Artifacts in Google Cloud Storage. Nothing of Google's is imported before a bucket is first used."""
