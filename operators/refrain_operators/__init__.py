"""Airflow operators, one module for each kind of step."""
