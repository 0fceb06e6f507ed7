"""DatasetConsumptionConfig: a dataset under a script's name for it."""

import pytest

from refrain import Dataset
from refrain.data.consumption import DatasetConsumptionConfig
from refrain.data.output_config import OutputFileDatasetConfig
from refrain.errors import UserError

DATA = OutputFileDatasetConfig("d")


def test_the_mode_is_direct_unless_said_otherwise():
    config = DatasetConsumptionConfig("x", DATA)
    assert (config.mode, config.as_mount().mode, config.as_download().mode, config.mode) == (
        "direct",
        "mount",
        "download",
        "direct",
    )


def test_a_path_on_compute_goes_with_the_mode():
    config = DatasetConsumptionConfig("x", DATA).as_download("here")
    assert (config.name, config.dataset, config.path_on_compute) == ("x", DATA, "here")
    assert config.as_mount().path_on_compute is None


def test_a_mode_that_is_none_is_refused():
    with pytest.raises(UserError, match="Input 'x': mode 'upload' is not one of mount, download, direct, hdfs"):
        DatasetConsumptionConfig("x", DATA, mode="upload")


def test_a_name_that_is_none_is_refused():
    with pytest.raises(UserError, match="'a b' is no valid name for a dataset input"):
        DatasetConsumptionConfig("a b", DATA)


@pytest.mark.parametrize("mode", ["mount", "download", "hdfs"])
def test_a_table_is_given_as_it_is_only(mode, tmp_path):
    (tmp_path / "a.csv").write_text("n\n1\n")
    named = Dataset.Tabular.from_delimited_files(tmp_path / "a.csv").as_named_input("t")
    assert named.as_direct().mode == "direct"
    with pytest.raises(UserError, match=f"{mode} is not possible for dataset input 't': a tabular dataset has"):
        getattr(named, f"as_{mode}")()
