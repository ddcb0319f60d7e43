"What tests of IIIF share: a museum, and a network for its photographs"
import pytest, torch
from colorized.inference.colorizer import Colorizer
from museum import Museum

torch.set_num_threads(1)

@pytest.fixture
def museum(tmp_path):
    (tmp_path/'site').mkdir()
    server = Museum(tmp_path/'site')
    yield server
    server.shutdown()

@pytest.fixture(scope='session')
def colorizer():
    return Colorizer.from_pretrained(device='cpu')
