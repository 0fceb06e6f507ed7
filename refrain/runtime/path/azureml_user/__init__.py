"""Stand-in for azureml_user inside a step: offers azureml_user.parallel_run."""
