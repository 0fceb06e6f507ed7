"""The Airflow plugin: pages, links and listeners."""
