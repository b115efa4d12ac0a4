"""Networks that torch.compile translates, and machines where it cannot."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from workers.detect.compiled import NotCompiled, compile_network


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was compiled before."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch.compiler.reset()


def make_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(0.1)).eval()


def test_a_compiled_network_answers_as_before_for_any_number_of_pictures():
    """With the backend that needs no C++ compiler."""
    network = make_network()
    plain = copy.deepcopy(network)
    compile_network(network, 16, backend="aot_eager")
    stand = torch.compiler.set_stance("fail_on_recompile")
    with torch.inference_mode(), stand:
        for count in (1, 2, 5):
            squares = torch.rand(count, 16, 16, 3).permute(0, 3, 1, 2)
            torch.testing.assert_close(network(squares), plain(squares))


def test_without_a_compiler_the_reason_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "/no/such/compiler"))
    with pytest.raises(NotCompiled, match=r"install a C\+\+ compiler .*/no/such/compiler"):
        compile_network(make_network(), 16)


def test_a_copy_of_a_compiled_network_is_not_compiled():
    """So it can be exported, and moved to another device."""
    network = make_network()
    compile_network(network, 16, backend="aot_eager")
    plain = copy.deepcopy(network)
    with torch.compiler.set_stance("fail_on_recompile"), torch.inference_mode():
        found = plain(torch.rand(1, 3, 24, 24))  # of another size, which had to be compiled anew
    assert found.shape == (1, 4, 22, 22)
