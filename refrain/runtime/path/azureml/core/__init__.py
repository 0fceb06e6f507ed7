"""Stand-in for azureml.core inside a step: Run, Model, and whatever else refrain itself offers under the same name."""


def __getattr__(name):
    if name == "Run":
        from azureml.core.run import Run

        return Run
    if name == "Model":
        from azureml.core.model import Model

        return Model
    if name.startswith("__"):
        raise AttributeError(name)
    import refrain

    try:
        return getattr(refrain, name)
    except (AttributeError, ImportError) as error:
        raise ImportError(
            "azureml.core is refrain's stand-in inside a step: it has Run and Model, and not %s (%s)." % (name, error)
        ) from error
