"""The few verbs of the API server that are used."""
