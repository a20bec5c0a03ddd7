"""Prefect: its flow and task runs, its pages, its events and its server."""
