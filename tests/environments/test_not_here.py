"""Names of Azure ML's that have no counterpart: whoever uses one learns what to do instead."""

from __future__ import annotations

from copy import deepcopy

import pytest

from refrain import AmlCompute, ComputeTarget, CondaDependencies, Environment, RunConfiguration
from refrain.environments.not_here import NotHere
from refrain.errors import NotHereError


def test_a_method_that_is_called_of_class_or_object_says_what_to_do_instead():
    message = r"^Environment\.build is Azure ML's and has no counterpart in Refrain\. .*refrain env build NAME\.$"
    for owner in (Environment, Environment("train")):
        with pytest.raises(NotHereError, match=message):
            owner.build(None)


def test_an_attribute_that_is_set_is_not_lost_in_silence():
    with pytest.raises(NotHereError, match=r"RunConfiguration\.data_references .* Give data to the step"):
        RunConfiguration().data_references = {}
    with pytest.raises(NotHereError, match=r"DockerSection\.base_image_registry .* 'registry/name:tag'"):
        Environment("train").docker.base_image_registry.address = "registry.example"


def test_it_is_none_of_the_things_that_an_object_has():
    environment = Environment("train")
    assert not hasattr(environment, "build")
    assert deepcopy(environment).docker == environment.docker


@pytest.mark.parametrize("owner", [Environment, RunConfiguration, CondaDependencies, ComputeTarget, AmlCompute])
def test_each_of_them_ends_with_a_way_out(owner):
    found = [name for name, value in vars(owner).items() if isinstance(value, NotHere)]
    assert found
    for name in found:
        with pytest.raises(NotHereError, match=r"has no counterpart in Refrain\. [A-Z].{15,}\.$"):
            getattr(owner, name)
