"What several test files need of the page"
from pathlib import Path
import pytest, torch
from PIL import Image
from app_server import Server, free_port
from colorized.inference.colorizer import Colorizer

torch.set_num_threads(1)
IMAGES = Path(__file__).resolve().parents[2]/'nbs/images'

@pytest.fixture
def port(): return free_port()

@pytest.fixture(scope='module')
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp('app'))
    yield s
    if s.process.poll() is None:
        s.end()

@pytest.fixture(scope='module')
def colorizer():
    return Colorizer.from_pretrained(device='cpu')

@pytest.fixture
def small_copies(tmp_path):
    "Small copies of photographs: the network is through with them in less than half the time"
    def copy(*names):
        folder = tmp_path/'small'
        folder.mkdir()
        for name in names:
            im = Image.open(IMAGES/name)
            im.thumbnail((300,300))
            im.save(folder/name, quality=95)
        return [folder/o for o in names]
    return copy
