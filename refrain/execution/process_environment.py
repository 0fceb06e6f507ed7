"""The environment variables of a step's process.

They are a short list from outside, what the step declares, and what Refrain says. Everything else is stripped, so that
an undeclared variable *cannot* change a result.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import refrain
from refrain.execution.request import StepRequest
from refrain.steps.command import Literal, ParameterValue, Setting, Token

RUNTIME = Path(str(refrain.__file__)).parent / "runtime"
"""What runs inside a step's process."""


def process_environment(
    request: StepRequest,
    run_id: str,
    run_folder: str,
    machine: Mapping[str, str],
    paths: Mapping[str, str],
) -> dict[str, str]:
    """Return the whole environment of a step's process.

    :param machine: what every process has where this one runs.
    :param paths: the local paths of inputs and outputs by name.
    """
    step = request.step
    variables = _data_variables(request, paths)
    # In this order, so that data called "path" or "home" never takes the place of the process's own variable.
    variables |= machine
    variables |= {"LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    variables |= dict(step.environment.variables)
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, (variables.get("PYTHONPATH"), str(RUNTIME / "path"))))
    variables |= {f"AML_PARAMETER_{name}": text_of(token, request) for name, token in step.parameters}
    return variables | run_variables(request, run_id) | {"REFRAIN_RUN_DIR": run_folder}


def text_of(token: Token, request: StepRequest) -> str:
    """Return a literal's or a parameter's text."""
    if isinstance(token, ParameterValue):
        return str(request.parameters[token.name])
    if isinstance(token, Literal | Setting):
        return token.text
    raise TypeError(f"{token!r} is a place for data, not a text.")


def _data_variables(request: StepRequest, paths: Mapping[str, str]) -> dict[str, str]:
    variables = {f"AZUREML_DATAREFERENCE_{name}": path for name, path in paths.items()}
    names = [port.name for port in request.step.inputs if port.is_dataset]
    names += [port.name for port in request.step.outputs if port.is_dataset]
    for name in names:
        variables |= {name: paths[name], name.upper(): paths[name]}
    return variables


def run_variables(request: StepRequest, run_id: str) -> dict[str, str]:
    """Return what tells the user's code which run it is, by Azure ML's names."""
    run = request.run
    return {
        "AZUREML_RUN_ID": run_id,
        "AZUREML_ROOT_RUN_ID": run.root_id,
        "AZUREML_ARM_SUBSCRIPTION": "refrain",
        "AZUREML_ARM_RESOURCEGROUP": "refrain",
        "AZUREML_ARM_WORKSPACE_NAME": run.workspace_name,
        "AZUREML_ARM_PROJECT_NAME": run.experiment,
        "AZUREML_EXPERIMENT_ID": run.experiment,
    }
