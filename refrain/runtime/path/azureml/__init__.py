"""Stand-in for azureml inside a step: offers azureml.core, and finds other azureml packages that are installed."""

import os
import sys

for _folder in sys.path:
    _folder = os.path.join(_folder, "azureml")
    if os.path.isdir(_folder) and os.path.realpath(_folder) not in map(os.path.realpath, __path__):
        __path__.append(_folder)
del _folder
