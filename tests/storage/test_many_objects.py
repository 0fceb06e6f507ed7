"""Deciding that nothing has changed among very many objects: by listings alone."""

from fakes.many_objects import many_objects
from refrain.storage.state import WorkspaceState


def test_of_many_objects_none_is_asked_for(tmp_path, monkeypatch):
    count = 3_500  # four pages of a listing; `python -m bench storage` measures 100,000
    monkeypatch.setenv("REFRAIN_CACHE", str(tmp_path / "cache"))
    with many_objects(count) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        place = WorkspaceState(tmp_path / "workspace").stores.at(server.url)
        first, again = place.identify(), place.identify()
        assert server.requests == {"LIST": 2 * -(-count // 1000)}
        server.changed = count - 1
        other = place.identify()
    assert (first.files, first.bytes) == (count, count * 4096)
    assert again == first
    assert other.digest != first.digest
