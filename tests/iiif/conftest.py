"What tests of IIIF share: a museum, and a network for its photographs"
import threading
from types import SimpleNamespace
import pytest, torch
from colorized.iiif import fetch
from colorized.inference.colorizer import Colorizer
from museum import Clock, Museum

torch.set_num_threads(1)

@pytest.fixture
def museum(tmp_path):
    (tmp_path/'site').mkdir()
    server = Museum(tmp_path/'site')
    yield server
    server.shutdown()

@pytest.fixture
def clock(museum, monkeypatch):
    "Time that stands still but for the waits of fetchers and of the museum"
    class Event(threading.Event):
        def wait(self, timeout=None):
            museum.clock.sleep(timeout)
            return self.is_set()
    museum.clock = Clock()
    monkeypatch.setattr(fetch, 'time', museum.clock)
    monkeypatch.setattr(fetch, 'threading', SimpleNamespace(Event=Event))
    return museum.clock

@pytest.fixture(scope='session')
def colorizer():
    return Colorizer.from_pretrained(device='cpu')
