"""Stand-ins for services, to test and to try pipelines without an account."""
