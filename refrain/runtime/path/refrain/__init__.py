"""Stand-in for refrain inside a step: becomes the installed package where there is one, otherwise offers Run and Model.

This folder's parent ends a step's PYTHONPATH, which Python searches before the installed packages.
"""


def _elsewhere():
    """Find the real package: on the rest of the path (a regular or an editable install), or by an import hook."""
    import os
    import sys
    from importlib.machinery import PathFinder

    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = [folder for folder in sys.path if os.path.realpath(folder) != os.path.realpath(here)]
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if find is not None:
            spec = find("refrain", path if finder is PathFinder else None)
            # A folder without __init__.py has no origin: it is no package of ours.
            if spec is not None and spec.origin and os.path.realpath(spec.origin) != os.path.realpath(__file__):
                return spec
    return None


def _become(spec):
    """Run the real package's code in this module, so that whoever holds it has the real one."""
    import sys

    module = sys.modules[__name__]
    module.__file__ = spec.origin
    module.__path__ = list(spec.submodule_search_locations or [])
    module.__loader__ = spec.loader
    spec.loader.exec_module(module)
    getattr(module, "_MODULES", {})["Model"] = "refrain.runtime.models"  # in a step, the engine is asked for models
    module.__spec__ = spec  # last: until here, other threads wait for the import to end


def _offer_run():
    """Make the folder that this file belongs to, whatever it is called, the package ``refrain.runtime``.

    It is made by hand: importlib.util would cost more than all of the runtime.
    """
    import os
    import sys
    from importlib.machinery import ModuleSpec

    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    module = sys.modules["refrain.runtime"] = type(sys)("refrain.runtime")
    module.__spec__ = ModuleSpec("refrain.runtime", None, is_package=True)
    module.__path__ = module.__spec__.submodule_search_locations
    module.__path__.append(folder)
    this = sys.modules[__name__]
    this.__path__ = []
    this.runtime = module
    this.__getattr__ = _attribute


def _attribute(name):
    if name == "Run":
        from refrain.runtime.run import Run

        return Run
    if name == "Model":
        from refrain.runtime.models import Model

        return Model
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(
        "refrain is not installed in this step's environment, where only refrain.Run and Model are there, not refrain.%s. "
        "Add refrain to the packages of the environment." % name
    )


_real = _elsewhere()
if _real is None:
    _offer_run()
else:
    _become(_real)
    del _elsewhere, _become, _offer_run, _attribute
del _real
