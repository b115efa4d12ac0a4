"""Tensors come back as they were written; a file is replaced whole or not at all."""

from pathlib import Path

import pytest
import torch

from workers.runtime.tensors import read_parts, read_tensors, write_parts, write_tensors


def test_tensors_come_back_as_they_were(tmp_path: Path):
    tensors = {
        "rows": torch.arange(6.0).reshape(2, 3).T,  # not contiguous
        "one": torch.tensor(3, dtype=torch.float64),
        "learned": torch.ones(2, requires_grad=True),
    }
    path = tmp_path / "new" / "file"
    write_tensors(path, tensors, {"words": ["猫"]})
    found, about = read_tensors(path)
    assert about == {"words": ["猫"]}
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert all(found[name].dtype == tensors[name].dtype for name in tensors)


def test_parts_come_back_by_their_names(tmp_path: Path):
    parts = {"network": {"a.weight": torch.ones(2)}, "sum": {"loss": torch.zeros(())}, "none": {}}
    write_parts(tmp_path / "file", parts, {"step": 3})
    found, about = read_parts(tmp_path / "file")
    assert {part: list(own) for part, own in found.items()} == {
        "network": ["a.weight"],
        "sum": ["loss"],
    }
    assert torch.equal(found["network"]["a.weight"], torch.ones(2))
    assert about == {"step": 3}


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    path = tmp_path / "file"
    write_tensors(path, {"a": torch.ones(1)}, {})
    shared = torch.zeros(4)
    with pytest.raises(RuntimeError, match="share memory"):
        write_tensors(path, {"a": shared, "b": shared}, {})
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert read_tensors(path)[0]["a"].item() == 1


def test_what_is_no_such_file_is_refused(tmp_path: Path):
    path = tmp_path / "file"
    write_tensors(path, {"a": torch.ones(100)}, {})
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match="damaged"):
        read_tensors(path)
