"""The story of an experiment as an OpenTelemetry trace: one trace an experiment, one span a round."""
