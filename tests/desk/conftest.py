import pytest, torch
from desk_tools import color, copy, scans
from colorized.inference.colorizer import Colorizer

torch.set_num_threads(1)

@pytest.fixture(scope='session')
def colorizer(model): return Colorizer.from_pretrained(model, 'cpu')

@pytest.fixture(scope='session')
def made(tmp_path_factory, colorizer):
    "Folders `scans` and `color`, colored with uncertainty; not to be written into"
    home = tmp_path_factory.mktemp('made')
    assert color(scans(home/'scans'), home/'color', colorizer, uncertainty=True).done==6
    return home

@pytest.fixture
def home(made, tmp_path):
    "A copy of both; the report names the originals' old folder"
    copy(made/'scans', tmp_path/'scans')
    copy(made/'color', tmp_path/'color')
    return tmp_path
