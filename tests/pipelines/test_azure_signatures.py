"""Signatures are Azure ML's: name, order and default of each parameter, where the class or method exists here.

A deviation is listed with its reason; a parameter of ours may only follow Azure's.
"""

import inspect

import pytest

import refrain
from refrain.runtime.models import Model as InStep

# (class, method or None for the constructor) -> Azure ML 1.6x's parameters, as the text of a signature
AZURE = {
    ("PythonScriptStep", None): "script_name, name=None, arguments=None, compute_target=None, runconfig=None, "
    "runconfig_pipeline_params=None, inputs=None, outputs=None, params=None, source_directory=None, allow_reuse=True, "
    "version=None, hash_paths=None",
    ("PythonScriptStep", "run_after"): "step",
    ("DataTransferStep", None): "name, source_data_reference=None, destination_data_reference=None, "
    "compute_target=None, source_reference_type=None, destination_reference_type=None, allow_reuse=True",
    ("DataTransferStep", "get_output"): "",
    ("SynapseSparkStep", None): "file, source_directory, compute_target, driver_memory, driver_cores, executor_memory, "
    "executor_cores, num_executors, name=None, app_name=None, environment=None, arguments=None, inputs=None, "
    "outputs=None, conf=None, py_files=None, jars=None, files=None, allow_reuse=True, version=None",
    (
        "DatabricksStep",
        None,
    ): "name, inputs=None, outputs=None, existing_cluster_id=None, spark_version=None, node_type=None, "
    "instance_pool_id=None, num_workers=None, min_workers=None, max_workers=None, "
    "spark_env_variables=None, spark_conf=None, init_scripts=None, cluster_log_dbfs_path=None, "
    "notebook_path=None, notebook_params=None, python_script_path=None, python_script_params=None, "
    "main_class_name=None, jar_params=None, python_script_name=None, source_directory=None, "
    "hash_paths=None, run_name=None, timeout_seconds=None, runconfig=None, maven_libraries=None, "
    "pypi_libraries=None, egg_libraries=None, jar_libraries=None, rcran_libraries=None, "
    "compute_target=None, allow_reuse=True, version=None, permit_cluster_restart=None",
    ("MavenLibrary", None): "coordinates=None, repo=None, exclusions=None",
    ("PyPiLibrary", None): "package=None, repo=None",
    ("RCranLibrary", None): "package=None, repo=None",
    ("EggLibrary", None): "library=None",
    ("JarLibrary", None): "library=None",
    (
        "DatabricksCluster",
        None,
    ): "existing_cluster_id=None, spark_version=None, node_type=None, instance_pool_id=None, num_workers=None, "
    "min_workers=None, max_workers=None, spark_env_variables=None, spark_conf=None, init_scripts=None, "
    "cluster_log_dbfs_path=None, permit_cluster_restart=None",
    (
        "DatabricksCompute",
        "attach_configuration",
    ): "resource_group=None, workspace_name=None, resource_id=None, access_token=''",
    ("StepSequence", None): "steps=None",
    ("Pipeline", None): "workspace, steps, description=None, default_datastore=None, default_source_directory=None, "
    "resolve_closure=True",
    ("Pipeline", "validate"): "",
    ("Pipeline", "submit"): "experiment_name, pipeline_parameters=None, continue_on_step_failure=False, "
    "regenerate_outputs=False",
    ("PipelineData", None): "name, datastore=None, output_name=None, output_mode='mount', output_path_on_compute=None, "
    "output_overwrite=None, data_type=None, is_directory=None, pipeline_output_name=None, training_output=None",
    ("PipelineData", "as_download"): "input_name=None, path_on_compute=None, overwrite=None",
    ("PipelineData", "as_mount"): "input_name=None",
    ("PipelineData", "as_input"): "input_name",
    ("PipelineData", "create_input_binding"): "input_name=None, mode=None, path_on_compute=None, overwrite=None",
    ("PipelineData", "get_env_variable_name"): "",
    ("InputPortBinding", None): "name, bind_object=None, bind_mode='mount', path_on_compute=None, overwrite=None",
    ("PipelineParameter", None): "name, default_value",
    ("OutputFileDatasetConfig", None): "name=None, destination=None, source=None, partition_format=None",
    ("OutputFileDatasetConfig", "as_mount"): "disable_metadata_cache=False",
    ("OutputFileDatasetConfig", "as_upload"): "overwrite=False, source_globs=None",
    ("OutputFileDatasetConfig", "as_input"): "name=None",
    ("OutputFileDatasetConfig", "register_on_complete"): "name, description=None, tags=None",
    ("OutputFileDatasetConfig", "read_delimited_files"): "include_path=False, separator=',', "
    "header=<PromoteHeadersBehavior.ALL_FILES_HAVE_SAME_HEADERS: 3>, partition_format=None, path_glob=None, "
    "set_column_types=None",
    ("OutputFileDatasetConfig", "read_parquet_files"): "include_path=False, partition_format=None, path_glob=None, "
    "set_column_types=None",
    ("OutputTabularDatasetConfig", "keep_columns"): "columns",
    ("OutputTabularDatasetConfig", "drop_columns"): "columns",
    ("OutputTabularDatasetConfig", "random_split"): "percentage, seed=None",
    ("OutputTabularDatasetConfig", "as_mount"): "",
    ("OutputTabularDatasetConfig", "as_upload"): "overwrite=False, source_globs=None",
    ("OutputTabularDatasetConfig", "as_input"): "name=None",
    ("LinkFileOutputDatasetConfig", None): "name=None",
    ("LinkFileOutputDatasetConfig", "register_on_complete"): "name, description=None, tags=None",
    ("LinkTabularOutputDatasetConfig", None): "name=None",
    ("HDFSOutputDatasetConfig", None): "name=None, destination=None",
    ("PipelineData", "as_dataset"): "",
    ("PipelineOutputFileDataset", None): "pipeline_data",
    ("PipelineOutputFileDataset", "as_mount"): "path_on_compute=None",
    ("PipelineOutputFileDataset", "as_download"): "path_on_compute=None",
    ("PipelineOutputFileDataset", "as_direct"): "",
    ("PipelineOutputFileDataset", "as_named_input"): "name",
    ("PipelineOutputFileDataset", "register"): "name, create_new_version=True",
    ("PipelineOutputFileDataset", "create_input_binding"): "",
    ("PipelineOutputFileDataset", "parse_delimited_files"): "include_path=False, separator=',', "
    "header=<PromoteHeadersBehavior.ALL_FILES_HAVE_SAME_HEADERS: 3>, partition_format=None, file_extension='', "
    "set_column_types=None, quoted_line_breaks=False",
    ("PipelineOutputFileDataset", "parse_parquet_files"): "include_path=False, partition_format=None, "
    "file_extension='.parquet', set_column_types=None",
    ("PipelineOutputTabularDataset", "keep_columns"): "columns",
    ("PipelineOutputTabularDataset", "drop_columns"): "columns",
    ("PipelineOutputTabularDataset", "random_split"): "percentage, seed=None",
    ("PortDataReference", "download"): "local_path, overwrite=None, show_progress=None",
    ("PortDataReference", "as_download"): "input_name=None, path_on_compute=None, overwrite=None",
    ("PortDataReference", "as_mount"): "input_name=None",
    ("PortDataReference", "as_input"): "input_name",
    ("DataReference", None): "datastore, data_reference_name=None, path_on_datastore=None, mode='mount', "
    "path_on_compute=None, overwrite=False",
    ("DataReference", "path"): "path=None, data_reference_name=None",
    ("DataReference", "as_download"): "path_on_compute=None, overwrite=False",
    ("DataReference", "as_upload"): "path_on_compute=None, overwrite=False",
    ("DataReference", "as_mount"): "",
    ("DatasetConsumptionConfig", None): "name, dataset, mode='direct', path_on_compute=None",
    ("DatasetConsumptionConfig", "as_download"): "path_on_compute=None",
    ("DatasetConsumptionConfig", "as_mount"): "path_on_compute=None",
    ("FileDataset", "as_named_input"): "name",
    ("FileDataset", "as_mount"): "path_on_compute=None",
    ("FileDataset", "as_download"): "path_on_compute=None",
    ("DataPath", None): "datastore=None, path_on_datastore=None, name=None",
    ("DataPath", "create_data_reference"): "data_reference_name=None, datapath_compute_binding=None",
    ("DataPath", "create_from_data_reference"): "data_reference",
    ("DataPathComputeBinding", None): "mode='mount', path_on_compute=None, overwrite=False",
    ("DataPathComputeBinding", "create_data_reference"): "data_reference_name=None, datapath=None",
    ("DataPathComputeBinding", "create_from_data_reference"): "data_reference",
    ("Datastore", None): "workspace, name=None",
    ("Datastore", "get"): "workspace, datastore_name",
    ("Datastore", "get_default"): "workspace",
    ("Datastore", "set_as_default"): "",
    ("Datastore", "register_azure_sql_database"): "workspace, datastore_name, server_name, database_name, "
    "tenant_id=None, client_id=None, client_secret=None, resource_url=None, authority_url=None, endpoint=None, "
    "overwrite=False, username=None, password=None, subscription_id=None, resource_group=None, "
    "grant_workspace_access=False",
    ("Datastore", "register_azure_postgre_sql"): "workspace, datastore_name, server_name, database_name, user_id, "
    "user_password, port_number=None, endpoint=None, overwrite=False, enforce_ssl=True",
    ("Datastore", "register_azure_my_sql"): "workspace, datastore_name, server_name, database_name, user_id, "
    "user_password, port_number=None, endpoint=None, overwrite=False",
    ("SqlDataReference", None): "datastore, data_reference_name=None, sql_table=None, sql_query=None, "
    "sql_stored_procedure=None, sql_stored_procedure_params=None",
    ("SqlDataReference", "path"): "path=None, data_reference_name=None",
    ("SqlDataReference", "as_download"): "path_on_compute=None, overwrite=False",
    ("SqlDataReference", "as_upload"): "path_on_compute=None, overwrite=False",
    ("SqlDataReference", "as_mount"): "",
    ("StoredProcedureParameter", None): "name, value, type=None",
    ("Datastore", "path"): "path=None, data_reference_name=None",
    ("Model", None): "workspace, name=None, id=None, tags=None, properties=None, version=None, run_id=None, "
    "model_framework=None, expand=True",
    ("Model", "register"): "workspace, model_path, model_name, tags=None, properties=None, description=None, "
    "datasets=None, model_framework=None, model_framework_version=None, child_paths=None, sample_input_dataset=None, "
    "sample_output_dataset=None, resource_configuration=None",
    ("Model", "list"): "workspace, name=None, tags=None, properties=None, run_id=None, latest=False, dataset_id=None, "
    "expand=True, page_count=255, model_framework=None",
    ("Model", "get_model_path"): "model_name, version=None, _workspace=None",
    ("Model", "download"): "target_dir='.', exist_ok=False, exists_ok=None",
    ("Model", "update"): "tags=None, description=None, sample_input_dataset=None, sample_output_dataset=None, "
    "resource_configuration=None",
    ("Model", "update_tags_properties"): "add_tags=None, remove_tags=None, add_properties=None",
    ("Model", "add_tags"): "tags",
    ("Model", "remove_tags"): "tags",
    ("Model", "add_properties"): "properties",
    ("Model", "serialize"): "",
    ("Model", "delete"): "",
    ("Run", "register_model"): "model_name, model_path=None, tags=None, properties=None, model_framework=None, "
    "model_framework_version=None, description=None, datasets=None, sample_input_dataset=None, "
    "sample_output_dataset=None, resource_configuration=None",
    ("StepRun", "register_model"): "model_name, model_path=None, tags=None, properties=None, model_framework=None, "
    "model_framework_version=None, description=None, datasets=None, sample_input_dataset=None, "
    "sample_output_dataset=None, resource_configuration=None",
    ("Workspace", None): "subscription_id, resource_group, workspace_name",
    ("Workspace", "from_config"): "path=None",
    ("Workspace", "write_config"): "path=None",
    ("Workspace", "get_default_datastore"): "",
    ("Workspace", "set_default_datastore"): "name",
    ("Environment", None): "name",
    ("Environment", "register"): "workspace",
    ("Environment", "get"): "workspace, name, version=None, label=None",
    ("Environment", "list"): "workspace",
    ("Environment", "clone"): "new_name",
    ("Environment", "from_dockerfile"): "name, dockerfile, conda_specification=None, pip_requirements=None",
    ("Environment", "from_docker_image"): "name, image, container_registry=None, conda_specification=None, "
    "pip_requirements=None",
    ("Environment", "from_conda_specification"): "name, file_path",
    ("Environment", "from_existing_conda_environment"): "name, conda_environment_name",
    ("Environment", "from_pip_requirements"): "name, file_path, pip_version=None",
    ("Environment", "save_to_directory"): "path, overwrite=False",
    ("Environment", "load_from_directory"): "path",
    ("CondaDependencies", None): "conda_dependencies_file_path=None, _underlying_structure=None",
    ("CondaDependencies", "create"): "pip_indexurl=None, pip_packages=None, conda_packages=None, "
    "python_version='3.10.18', pin_sdk_version=True",
    ("CondaDependencies", "add_pip_package"): "pip_package",
    ("CondaDependencies", "add_conda_package"): "conda_package",
    ("CondaDependencies", "add_channel"): "channel",
    ("CondaDependencies", "set_python_version"): "version",
    ("CondaDependencies", "set_pip_requirements"): "pip_requirements",
    ("CondaDependencies", "set_pip_option"): "pip_option",
    ("CondaDependencies", "save_to_file"): "base_directory, conda_file_path=None",
    ("CondaDependencies", "save"): "path=None",
    ("CommandStep", None): "command=None, name=None, compute_target=None, runconfig=None, "
    "runconfig_pipeline_params=None, inputs=None, outputs=None, params=None, source_directory=None, allow_reuse=True, "
    "version=None",
    ("ScriptRunConfig", None): "source_directory, script=None, arguments=None, run_config=None, "
    "_telemetry_values=None, compute_target=None, environment=None, distributed_job_config=None, resume_from=None, "
    "max_run_duration_seconds=2592000, command=None, docker_runtime_config=None",
    ("MpiConfiguration", None): "process_count_per_node=1, node_count=1",
    ("PyTorchConfiguration", None): "communication_backend='Nccl', process_count=None, node_count=1",
    ("TensorflowConfiguration", None): "worker_count=1, parameter_server_count=1",
    (
        "RunConfiguration",
        None,
    ): "script=None, arguments=None, framework=None, communicator=None, conda_dependencies=None",
}

# what our own signature starts with instead, and why
DEVIATIONS = {
    ("Datastore", "register_azure_postgre_sql"): (
        (
            "workspace, datastore_name, server_name, database_name, user_id, user_password=None, port_number=None, "
            "endpoint=None, overwrite=False, enforce_ssl=True"
        ),
        "a password is refused",
    ),
    ("Datastore", "register_azure_my_sql"): (
        (
            "workspace, datastore_name, server_name, database_name, user_id, user_password=None, port_number=None, "
            "endpoint=None, overwrite=False"
        ),
        "a password is refused",
    ),
    ("InputPortBinding", None): ("name, bind_object, bind_mode='mount'", "an input that binds nothing means nothing"),
    ("Workspace", None): ("root=None, name=None", "a workspace is a folder, not a resource of a subscription"),
    ("Environment", None): ("name='user-managed'", "an existing interpreter needs no name"),
    ("CondaDependencies", "create"): (
        "pip_indexurl=None, pip_packages=None, conda_packages=None, python_version=None, pin_sdk_version=True",
        "any version of Python will do unless one is named",
    ),
}


def signature(key):
    name, method = key
    cls = getattr(refrain, name)
    # Without the instance, and without what Python puts first by itself.
    parameters = inspect.signature(cls if method is None else getattr(cls, method)).parameters.values()
    return [_text(p) for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD]


def _text(parameter):
    default = parameter.default
    return parameter.name if default is parameter.empty else f"{parameter.name}={default!r}"


def listed(text):
    return text.split(", ") if text else []


@pytest.mark.parametrize("key", AZURE, ids=lambda key: f"{key[0]}.{key[1] or '__init__'}")
def test_a_signature_is_azures_or_its_deviation_is_listed(key):
    wanted = listed(DEVIATIONS[key][0] if key in DEVIATIONS else AZURE[key])
    assert signature(key)[: len(wanted)] == wanted


@pytest.mark.parametrize("key", AZURE, ids=lambda key: f"{key[0]}.{key[1] or '__init__'}")
def test_what_follows_azures_parameters_can_be_left_out(key):
    wanted = listed(DEVIATIONS[key][0] if key in DEVIATIONS else AZURE[key])
    assert all("=" in text for text in signature(key)[len(wanted) :])


@pytest.mark.parametrize("method", ["__init__", "register", "list", "get_model_path", "download", "add_tags"])
def test_models_within_a_step_have_the_same_signatures(method):
    outside, inside = (inspect.signature(getattr(cls, method)).parameters for cls in (refrain.Model, InStep))
    assert [_text(p) for p in inside.values()] == [_text(p) for p in outside.values()]


def test_every_deviation_is_one():
    for key in DEVIATIONS:
        wanted = listed(AZURE[key])
        assert signature(key)[: len(wanted)] != wanted, f"{key} agrees with Azure ML: take it off the list"
