"""The Grafana dashboards as source: `PYTHONPATH=scripts python -m dashboards` writes their JSON into the chart."""
